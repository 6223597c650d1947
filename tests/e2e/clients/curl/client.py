"""curl, as a shell script would call it, driven by `protocol`."""

import json
import os
import subprocess
from typing import Any
from urllib.parse import quote

from protocol import serve

sent: list[Any] = []


class Refused(Exception):
    """An answer other than 200: its status and its body."""


def curl(path: str, *options: str, key: str | None, given: str | None = None) -> str:
    """The body of a 200; `given` goes to curl's stdin."""
    sent.append(path)
    command = [
        "curl", "--silent", "--show-error", "--no-buffer", "--max-time", "120",
        "--write-out", "\n%{http_code}",
        "--header", f"Authorization: Bearer {key or os.environ['OPENAI_API_KEY']}",
        os.environ["OPENAI_BASE_URL"] + path, *options,
    ]  # fmt: skip
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=150, check=True)
    body, _, status = done.stdout.rpartition("\n")
    if status != "200":
        raise Refused(int(status), body)
    return body


def post(path: str, body: dict[str, Any], key: str | None) -> str:
    header = ("--header", "Content-Type: application/json")
    return curl(path, *header, "--data-binary", "@-", key=key, given=json.dumps(body))


def streamed(path: str, body: dict[str, Any], key: str | None) -> Any:
    lines = post(path, {**body, "stream": True}, key).splitlines()
    events = [line for line in lines if line.startswith("data: ")]
    last = events.pop()
    assert last == "data: [DONE]", last
    return [json.loads(event.removeprefix("data: ")) for event in events]


def chat(body: dict[str, Any], key: str | None = None) -> Any:
    return json.loads(post("/chat/completions", body, key))


def stream(body: dict[str, Any], key: str | None = None) -> Any:
    return streamed("/chat/completions", body, key)


def complete(body: dict[str, Any], key: str | None = None) -> Any:
    return json.loads(post("/completions", body, key))


def stream_completion(body: dict[str, Any], key: str | None = None) -> Any:
    return streamed("/completions", body, key)


def embed(body: dict[str, Any], key: str | None = None) -> Any:
    return json.loads(post("/embeddings", body, key))


def upload(path: str, file: str, body: dict[str, Any], key: str | None) -> Any:
    fields = ["--form", f"file=@{file}"]
    for name, value in body.items():
        for one in value if isinstance(value, list) else [value]:
            fields += ["--form", f"{name}[]={one}" if isinstance(value, list) else f"{name}={one}"]
    answer = curl(path, *fields, key=key)
    return json.loads(answer) if body.get("response_format", "json").endswith("json") else answer


def transcribe(file: str, body: dict[str, Any], key: str | None = None) -> Any:
    return upload("/audio/transcriptions", file, body, key)


def translate(file: str, body: dict[str, Any], key: str | None = None) -> Any:
    return upload("/audio/translations", file, body, key)


def models(key: str | None = None) -> Any:
    return json.loads(curl("/models", key=key))


def model(id: str, key: str | None = None) -> Any:
    return json.loads(curl(f"/models/{quote(id, safe='')}", key=key))


def explain(problem: Refused) -> dict[str, Any]:
    status, body = problem.args
    return {"status": status, **json.loads(body)["error"]}


if __name__ == "__main__":
    actions = (chat, stream, complete, stream_completion, embed, transcribe, translate, models, model)
    serve({action.__name__: action for action in actions}, Refused, explain, sent)
