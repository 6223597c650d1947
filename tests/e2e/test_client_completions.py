"""Every client goes on with prompts, as before the chat API; what is the server's alone is asked by one."""

from __future__ import annotations

from typing import Any

import pytest
from drivers import ONE, Client, ClientFailure

SNAPSHOT = "smollm2-135m-instruct-2024-11-01"
PROMPT = "The three primary colours are red,"
BODY: dict[str, Any] = {"model": "gpt-3.5-turbo", "prompt": PROMPT, "temperature": 0, "max_tokens": 8}
DOCUMENT, END = 0, 2
"""Special tokens of the model: `<|endoftext|>` and `<|im_end|>`."""


def texts(chunks: list[dict[str, Any]], count: int = 1) -> list[str]:
    """What the choices say, by their index."""
    found = [""] * count
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        found[choice["index"]] += choice["text"]
    return found


def refusal(client: Client, **fields: Any) -> dict[str, Any]:
    with pytest.raises(ClientFailure) as failure:
        client.call("complete", body={**BODY, **fields})
    assert failure.value.said["status"] == 400
    return failure.value.said


def test_whole_answer(client: Client) -> None:
    answer = client.call("complete", body=BODY)
    assert answer["id"].startswith("cmpl-") and answer["object"] == "text_completion"
    assert answer["model"] == SNAPSHOT
    [choice] = answer["choices"]
    assert choice["text"].strip() and choice["index"] == 0 and choice["logprobs"] is None
    assert choice["finish_reason"] == ("length" if answer["usage"]["completion_tokens"] == 8 else "stop")
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert 5 <= usage["prompt_tokens"] <= 10, "no template around it"


def test_streamed_answer_is_the_whole_answer_in_pieces(client: Client) -> None:
    chunks = client.call("stream_completion", body={**BODY, "stream_options": {"include_usage": True}})
    whole = client.call("complete", body=BODY)
    *pieces, last = chunks
    assert texts(pieces) == texts([whole])
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1
    reasons = [piece["choices"][0]["finish_reason"] for piece in pieces]
    assert reasons == [None] * (len(pieces) - 1) + [whole["choices"][0]["finish_reason"]]
    assert last["choices"] == [] and last["usage"] == whole["usage"]
    assert all(piece["usage"] is None for piece in pieces)


@ONE
def test_several_prompts_with_several_choices(client: Client) -> None:
    prompts = [PROMPT, "Water boils at"]
    alone = [texts([client.call("complete", body={**BODY, "prompt": one})])[0] for one in prompts]
    body = {**BODY, "prompt": prompts, "n": 2}
    whole = client.call("complete", body=body)
    assert texts([whole], 4) == [alone[0]] * 2 + [alone[1]] * 2
    assert texts(client.call("stream_completion", body=body), 4) == texts([whole], 4)
    assert whole["usage"]["completion_tokens"] <= 4 * 8


@ONE
def test_echo(client: Client) -> None:
    [alone] = texts([client.call("complete", body=BODY)])
    body = {**BODY, "echo": True}
    assert texts([client.call("complete", body=body)]) == [PROMPT + alone]
    assert texts(client.call("stream_completion", body=body)) == [PROMPT + alone]
    nothing = client.call("complete", body={**body, "max_tokens": 0})
    assert texts([nothing]) == [PROMPT]
    assert nothing["usage"]["completion_tokens"] == 0


@ONE
def test_stop_and_the_default_length(client: Client) -> None:
    body = {**BODY, "max_tokens": None}
    whole = client.call("complete", body=body)
    assert whole["usage"]["completion_tokens"] <= 16
    [text] = texts([whole])
    word = text.split()[2]
    stopped = client.call("complete", body={**body, "stop": [word]})["choices"][0]
    assert (stopped["text"], stopped["finish_reason"]) == (text.partition(word)[0], "stop")


def test_log_probabilities_in_the_old_shape(client: Client) -> None:
    answer = client.call("complete", body={**BODY, "logprobs": 3})
    [choice] = answer["choices"]
    told = choice["logprobs"]
    count = answer["usage"]["completion_tokens"]
    assert {name: len(told[name]) for name in told} == dict.fromkeys(
        ("tokens", "token_logprobs", "top_logprobs", "text_offset"), count
    )
    assert "".join(told["tokens"]).startswith(choice["text"])
    offset = len(PROMPT)
    for token, logprob, top, begins in zip(
        told["tokens"], told["token_logprobs"], told["top_logprobs"], told["text_offset"], strict=True
    ):
        assert (begins, max(top.values())) == (offset, logprob) and top[token] == logprob <= 0
        assert len(top) == 3
        offset += len(token)
    chosen = client.call("complete", body={**BODY, "logprobs": 0})["choices"][0]["logprobs"]
    assert chosen["top_logprobs"] is None and chosen["tokens"] == told["tokens"]


@ONE
def test_tokens_are_taken_as_they_are(client: Client) -> None:
    token, other = 504, 2683
    whole = client.call("complete", body={**BODY, "prompt": [[token, other], [token, END]], "echo": True})
    assert len(whole["choices"]) == 2 and whole["usage"]["prompt_tokens"] == 4
    one = client.call("complete", body={**BODY, "prompt": [token, other], "echo": True})
    assert texts([one])[0] == texts([whole], 2)[0]
    begun = client.call("complete", body={**BODY, "prompt": [DOCUMENT]})
    empty = client.call("complete", body={**BODY, "prompt": None})
    assert texts([begun]) == texts([empty])
    assert begun["usage"] == empty["usage"] and empty["usage"]["prompt_tokens"] == 1


@ONE
def test_text_of_a_special_token_stays_text(client: Client) -> None:
    answer = client.call("complete", body={**BODY, "prompt": "<|endoftext|>", "max_tokens": 1})
    assert answer["usage"]["prompt_tokens"] > 1


def test_what_is_refused(client: Client) -> None:
    for fields, param, code in (
        ({"suffix": "x"}, "suffix", "unsupported_parameter"),
        ({"best_of": 3}, "best_of", "unsupported_parameter"),
        ({"echo": True, "logprobs": 1}, "logprobs", "unsupported_parameter"),
        ({"prompt": ["x"] * 33}, "prompt", "invalid_value"),
        ({"prompt": [49152]}, "prompt", "invalid_value"),
        ({"prompt": "word " * 9000}, "prompt", "context_length_exceeded"),
        ({"max_tokens": 8192}, "prompt", "context_length_exceeded"),
        ({"model": "whisper-1"}, "model", "unsupported_value"),
    ):
        said = refusal(client, **fields)
        assert (said["param"], said["code"]) == (param, code)
