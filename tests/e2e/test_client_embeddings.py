"""Every client makes vectors of texts with a real engine; the official one of today also asynchronously."""

from __future__ import annotations

import math
from typing import Any

import pytest
from drivers import ONE, Client, ClientFailure

SNAPSHOT = "tiny-bert-2024-01-01"
WIDTH, CONTEXT = 64, 128
BODY: dict[str, Any] = {"model": "text-embedding-3-small", "input": ["a b", "c"], "encoding_format": "float"}
BY_DEFAULT = {name: BODY[name] for name in ("model", "input")}
TODAY = pytest.mark.parametrize("client", ["openai-3", "openai-node-7"], indirect=True)


def vectors(answer: Any) -> list[list[float]]:
    assert answer["object"] == "list" and answer["model"] == SNAPSHOT
    assert [one["index"] for one in answer["data"]] == list(range(len(answer["data"])))
    assert {one["object"] for one in answer["data"]} == {"embedding"}
    return [one["embedding"] for one in answer["data"]]


def test_a_vector_of_each_text(client: Client) -> None:
    answer = client.call("embed", body=BODY)
    one, other = vectors(answer)
    assert len(one) == len(other) == WIDTH and one != other
    assert math.hypot(*one) == pytest.approx(1, abs=1e-5)
    # Each text between its marks: two words, and one.
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] == 4 + 3
    assert vectors(client.call("embed", body={**BODY, "input": "c"})) == [pytest.approx(other, abs=1e-5)]


@TODAY
def test_what_clients_of_today_ask_for_by_themselves_is_the_same(client: Client) -> None:
    """Both ask for base64, and decode it."""
    for found, wanted in zip(
        vectors(client.call("embed", body=BY_DEFAULT)),
        vectors(client.call("embed", body=BODY)),
        strict=True,
    ):
        assert found == pytest.approx(wanted, abs=1e-5)


@ONE
@pytest.mark.parametrize("body", [BODY, BY_DEFAULT], ids=["float", "base64"])
def test_asynchronously(client: Client, body: dict[str, Any]) -> None:
    found = vectors(client.call("embed_asynchronously", body=body))
    for one, other in zip(found, vectors(client.call("embed", body=BODY)), strict=True):
        assert one == pytest.approx(other, abs=1e-5)


@ONE
def test_tokens_are_taken_as_they_are(client: Client) -> None:
    """The marks are the tokens 2 and 3, and words begin at 5."""
    answer = client.call("embed", body={**BODY, "input": [[2, 5, 6, 3], [2, 7, 3]]})
    assert answer["usage"]["total_tokens"] == 7
    for found, wanted in zip(vectors(answer), vectors(client.call("embed", body=BODY)), strict=True):
        assert found == pytest.approx(wanted, abs=1e-5)


@ONE
def test_as_many_texts_as_a_request_may_have(client: Client) -> None:
    answer = client.call("embed", body={**BODY, "input": ["a"] * 2048})
    first, *others = vectors(answer)
    assert len(others) == 2047 and answer["usage"]["prompt_tokens"] == 3 * 2048
    assert all(one == pytest.approx(first, abs=1e-5) for one in others[::97])


def test_what_is_refused(client: Client) -> None:
    chat = {"model": SNAPSHOT, "messages": [{"role": "user", "content": "a"}]}
    for action, body, param, code in (
        ("embed", {**BODY, "input": ""}, "input", "invalid_value"),
        ("embed", {**BODY, "input": ["a"] * 2049}, "input", "invalid_value"),
        ("embed", {**BODY, "input": "a " * CONTEXT}, "input", "context_length_exceeded"),
        ("embed", {**BODY, "input": [59]}, "input", "invalid_value"),
        ("embed", {**BODY, "dimensions": 32}, "dimensions", "invalid_value"),
        ("embed", {**BODY, "model": "gpt-3.5-turbo"}, "model", "unsupported_value"),
        ("chat", chat, "model", "unsupported_value"),
    ):
        with pytest.raises(ClientFailure) as failure:
            client.call(action, body=body)
        said = failure.value.said
        assert (said["status"], said["param"], said["code"]) == (400, param, code)
