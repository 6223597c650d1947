"""Every client chats, streamed and not; what is the server's alone is asked by one."""

from __future__ import annotations

import time
from typing import Any

import pytest
from drivers import ONE, Client

SNAPSHOT = "smollm2-135m-instruct-2024-11-01"
BODY: dict[str, Any] = {
    "model": "gpt-3.5-turbo",
    "messages": [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Tell me about the sea in two sentences."},
    ],
    "temperature": 0,
    "max_tokens": 24,
}


def check_usage(usage: dict[str, Any], most: int) -> None:
    assert usage["prompt_tokens"] > 0
    assert 0 < usage["completion_tokens"] <= most
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def check_frame(frame: dict[str, Any], kind: str) -> None:
    assert frame["id"].startswith("chatcmpl-")
    assert frame["object"] == kind
    assert frame["model"] == SNAPSHOT
    assert isinstance(frame["created"], int) and abs(time.time() - frame["created"]) < 300


def texts(chunks: list[dict[str, Any]], index: int = 0) -> str:
    choices = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def test_whole_answer(client: Client) -> None:
    answer = client.call("chat", body=BODY)
    check_frame(answer, "chat.completion")
    check_usage(answer["usage"], 24)
    [choice] = answer["choices"]
    assert choice["index"] == 0
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"].strip()
    assert choice["finish_reason"] == ("length" if answer["usage"]["completion_tokens"] == 24 else "stop")


def test_streamed_answer_is_the_whole_answer_in_pieces(client: Client) -> None:
    chunks = client.call("stream", body={**BODY, "stream_options": {"include_usage": True}})
    whole = client.call("chat", body=BODY)

    for chunk in chunks:
        check_frame(chunk, "chat.completion.chunk")
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1

    first, *pieces, last, usage = chunks
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert first["choices"][0]["delta"]["content"] == ""
    assert pieces and all(piece["choices"][0]["delta"]["content"] for piece in pieces)
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in (first, *pieces))
    assert last["choices"][0]["delta"] == {}
    assert last["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert usage["choices"] == []
    assert usage["usage"] == whole["usage"]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert texts(chunks) == whole["choices"][0]["message"]["content"]


@ONE
def test_stream_has_no_usage_unasked(client: Client) -> None:
    chunks = client.call("stream", body=BODY)
    assert all(chunk["choices"] and "usage" not in chunk for chunk in chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] in ("stop", "length")


@ONE
def test_length_stop_and_choices(client: Client) -> None:
    short = client.call("chat", body={**BODY, "max_completion_tokens": 1, "max_tokens": None})
    assert short["choices"][0]["finish_reason"] == "length"
    assert short["usage"]["completion_tokens"] == 1

    seeded = {**BODY, "seed": 1}  # without, what was kept of earlier prompts may change a near tie
    whole = client.call("chat", body=seeded)["choices"][0]["message"]["content"]
    word = whole.split()[4]
    stopped = client.call("chat", body={**seeded, "stop": [word]})["choices"][0]
    assert stopped["message"]["content"] == whole.partition(word)[0]
    assert stopped["finish_reason"] == "stop"

    two = client.call("stream", body={**seeded, "n": 2})
    assert texts(two, 0) == texts(two, 1) == whole


def test_log_probabilities_spell_the_answer(client: Client) -> None:
    choice = client.call("chat", body={**BODY, "logprobs": True, "top_logprobs": 2})["choices"][0]
    content = choice["logprobs"]["content"]
    assert all(len(one["top_logprobs"]) == 2 and one["logprob"] <= 0 for one in content)
    assert all(one["top_logprobs"][0]["token"] == one["token"] for one in content)
    spelled = b"".join(bytes(one["bytes"]) for one in content).decode()
    assert spelled.startswith(choice["message"]["content"])


@ONE
@pytest.mark.parametrize("name", ["gpt-3.5-turbo-0301", "gpt-3.5-turbo-16k", SNAPSHOT])
def test_other_names_of_the_model(client: Client, name: str) -> None:
    answer = client.call("chat", body={**BODY, "model": name, "max_tokens": 4})
    check_frame(answer, "chat.completion")


def test_messages_of_today(client: Client) -> None:
    messages = [
        {"role": "developer", "content": "Answer briefly."},
        {"role": "user", "content": [{"type": "text", "text": "Good "}, {"type": "text", "text": "day"}]},
        {"role": "assistant", "content": None},
        {"role": "user", "content": "And?", "name": "ann"},
    ]
    answer = client.call("chat", body={**BODY, "messages": messages, "max_tokens": 4})
    check_usage(answer["usage"], 4)
