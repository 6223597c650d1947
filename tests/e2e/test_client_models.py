"""Every client lists models and sees errors as the exceptions that applications catch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from drivers import Client, ClientFailure

CLASSES = {
    "curl": {400: "Refused", 401: "Refused", 404: "Refused"},
    "openai-0.27.10": {400: "InvalidRequestError", 401: "AuthenticationError", 404: "InvalidRequestError"},
    "openai-3": {400: "BadRequestError", 401: "AuthenticationError", 404: "NotFoundError"},
    "openai-node-7": {400: "BadRequestError", 401: "AuthenticationError", 404: "NotFoundError"},
}
CHAT: dict[str, Any] = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hello"}]}


def refusal(client: Client, action: str, **arguments: Any) -> dict[str, Any]:
    """What the client says of the refusal that it must meet; its class must suit its status."""
    with pytest.raises(ClientFailure) as failure:
        client.call(action, **arguments)
    said = failure.value.said
    assert said["class"] == CLASSES[client.name][said["status"]]
    return said


def test_models(client: Client) -> None:
    listed = client.call("models")
    assert listed["object"] == "list"
    assert {"gpt-3.5-turbo", "gpt-3.5-turbo-0301", "whisper-1"} <= {model["id"] for model in listed["data"]}
    for model in listed["data"]:
        assert model["object"] == "model"
        assert isinstance(model["created"], int) and model["owned_by"]
    for name in ("whisper-1", "org/family:tag"):
        found = client.call("model", id=name)
        assert found["id"] == name
        assert found in listed["data"]
    assert client.call("chat", body={**CHAT, "model": "org/family:tag", "max_tokens": 1})["choices"]


@pytest.mark.parametrize("name", ["no-such-model", "org/other:tag"])
def test_unknown_model(client: Client, name: str) -> None:
    for action, arguments in (
        ("model", {"id": name}),
        ("chat", {"body": {**CHAT, "model": name}}),
        ("stream", {"body": {**CHAT, "model": name}}),
    ):
        said = refusal(client, action, **arguments)
        assert (said["status"], said["code"]) == (404, "model_not_found")
        assert said["type"] == "invalid_request_error"
        assert name in said["message"]


def test_unknown_speech_model(client: Client, recordings: Path) -> None:
    for action in ("transcribe", "translate"):
        file = str(recordings / "en_whisper_jfk.flac")
        said = refusal(client, action, file=file, body={"model": "no-such-model"})
        assert (said["status"], said["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("action, arguments", [("chat", {"body": CHAT}), ("models", {})])
def test_wrong_key(client: Client, action: str, arguments: dict[str, Any]) -> None:
    key = "sk-wrong-0123456789abcdefghijklmnop"
    said = refusal(client, action, key=key, **arguments)
    assert (said["status"], said["code"]) == (401, "invalid_api_key")
    assert said["type"] == "invalid_request_error"
    assert key not in said["message"]


def test_wrong_fields(client: Client) -> None:
    said = refusal(client, "chat", body={**CHAT, "temperature": 3})
    assert (said["status"], said["param"]) == (400, "temperature")
    said = refusal(client, "stream", body={**CHAT, "messages": []})
    assert (said["status"], said["param"]) == (400, "messages")
    said = refusal(client, "chat", body={**CHAT, "tools": [{"type": "custom", "custom": {"name": "f"}}]})
    assert (said["status"], said["code"], said["param"]) == (400, "unsupported_parameter", "tools[0].type")
    said = refusal(client, "chat", body={**CHAT, "messages": [{"role": "user", "content": "word " * 20_000}]})
    assert (said["status"], said["code"]) == (400, "context_length_exceeded")


def test_no_recording(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "speech.wav"
    file.write_text("This is not a recording.")
    said = refusal(client, "transcribe", file=str(file), body={"model": "whisper-1"})
    assert (said["status"], said["param"]) == (400, "file")
