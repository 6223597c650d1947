"""The official Python client of 2023, as applications of that year call it, driven by `protocol`."""

from typing import Any

import openai
import requests
from openai.error import OpenAIError
from protocol import serve

sent: list[Any] = []


class CountingSession(requests.Session):
    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        sent.append(request)
        return super().send(request, **options)


openai.requestssession = CountingSession()


def chat(body: dict[str, Any], key: str | None = None) -> Any:
    return openai.ChatCompletion.create(**body, api_key=key).to_dict_recursive()


def stream(body: dict[str, Any], key: str | None = None) -> Any:
    chunks = openai.ChatCompletion.create(**body, api_key=key, stream=True)
    return [chunk.to_dict_recursive() for chunk in chunks]


def complete(body: dict[str, Any], key: str | None = None) -> Any:
    return openai.Completion.create(**body, api_key=key).to_dict_recursive()


def stream_completion(body: dict[str, Any], key: str | None = None) -> Any:
    return [chunk.to_dict_recursive() for chunk in openai.Completion.create(**body, api_key=key, stream=True)]


def embed(body: dict[str, Any], key: str | None = None) -> Any:
    return openai.Embedding.create(**body, api_key=key).to_dict_recursive()


def transcribe(file: str, body: dict[str, Any], key: str | None = None) -> Any:
    with open(file, "rb") as opened:
        return plain(openai.Audio.transcribe(file=opened, api_key=key, **form(body)))


def translate(file: str, body: dict[str, Any], key: str | None = None) -> Any:
    with open(file, "rb") as opened:
        return plain(openai.Audio.translate(file=opened, api_key=key, **form(body)))


def form(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of a form; this client knows no lists and takes their names as they are sent."""
    return {f"{name}[]" if isinstance(value, list) else name: value for name, value in body.items()}


def plain(answer: Any) -> Any:
    return answer if isinstance(answer, str) else answer.to_dict_recursive()


def models(key: str | None = None) -> Any:
    return openai.Model.list(api_key=key).to_dict_recursive()


def model(id: str, key: str | None = None) -> Any:
    return openai.Model.retrieve(id, api_key=key).to_dict_recursive()


def explain(problem: OpenAIError) -> dict[str, Any]:
    return {
        "status": problem.http_status,
        "type": problem.json_body["error"]["type"],
        "code": problem.json_body["error"]["code"],
        "param": problem.json_body["error"]["param"],
        "message": problem.user_message,
    }


if __name__ == "__main__":
    actions = (chat, stream, complete, stream_completion, embed, transcribe, translate, models, model)
    serve({action.__name__: action for action in actions}, OpenAIError, explain, sent)
