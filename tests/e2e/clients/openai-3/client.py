"""The official Python client of today, driven by `protocol`."""

import asyncio
from typing import Any

import openai
from protocol import serve

sent: list[Any] = []
client = openai.OpenAI(http_client=openai.DefaultHttpxClient(event_hooks={"request": [sent.append]}))


def using(key: str | None) -> openai.OpenAI:
    return client.with_options(api_key=key) if key else client


def chat(body: dict[str, Any], key: str | None = None) -> Any:
    return using(key).chat.completions.create(**body).to_dict()


def stream(body: dict[str, Any], key: str | None = None) -> Any:
    return [chunk.to_dict() for chunk in using(key).chat.completions.create(**body, stream=True)]


def complete(body: dict[str, Any], key: str | None = None) -> Any:
    return using(key).completions.create(**body).to_dict()


def stream_completion(body: dict[str, Any], key: str | None = None) -> Any:
    return [chunk.to_dict() for chunk in using(key).completions.create(**body, stream=True)]


def embed(body: dict[str, Any], key: str | None = None) -> Any:
    """It asks for base64 unless the body says what it wants, and gives numbers."""
    return using(key).embeddings.create(**body).to_dict()


def embed_asynchronously(body: dict[str, Any]) -> Any:
    async def note(request: Any) -> None:
        sent.append(request)

    async def create() -> Any:
        http = openai.DefaultAsyncHttpxClient(event_hooks={"request": [note]})
        async with openai.AsyncOpenAI(http_client=http) as own:
            return (await own.embeddings.create(**body)).to_dict()

    return asyncio.run(create())


def gather(body: dict[str, Any], key: str | None = None) -> Any:
    with using(key).chat.completions.stream(**body) as events:
        return events.get_final_completion().to_dict()


def transcribe(file: str, body: dict[str, Any], key: str | None = None) -> Any:
    with open(file, "rb") as opened:
        return plain(using(key).audio.transcriptions.create(file=opened, **body))


def translate(file: str, body: dict[str, Any], key: str | None = None) -> Any:
    with open(file, "rb") as opened:
        return plain(using(key).audio.translations.create(file=opened, **body))


def plain(answer: Any) -> Any:
    return answer if isinstance(answer, str) else answer.to_dict()


def models(key: str | None = None) -> Any:
    return using(key).models.list().to_dict()


def model(id: str, key: str | None = None) -> Any:
    return using(key).models.retrieve(id).to_dict()


def explain(problem: openai.APIStatusError) -> dict[str, Any]:
    return {
        "status": problem.status_code,
        "type": problem.type,
        "code": problem.code,
        "param": problem.param,
        "message": problem.message,
    }


if __name__ == "__main__":
    texts = (chat, stream, complete, stream_completion, gather, embed, embed_asynchronously)
    actions = (*texts, transcribe, translate, models, model)
    serve({action.__name__: action for action in actions}, openai.APIStatusError, explain, sent)
