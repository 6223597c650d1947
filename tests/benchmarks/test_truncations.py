"""Broken streams: what is sent of them, how an end is judged, and that a small part finds none unmarked."""

from __future__ import annotations

import json
import random
from typing import get_args

import pytest
from benchmarks.gateway.stub import llama_pieces, text
from benchmarks.truncations import BREAKS, CLIENTS, Break, broken, judged, part, unmarked


def event(content: str, reason: str | None = None) -> bytes:
    choice = {"delta": {"content": content}, "finish_reason": reason}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


WHOLE = event(" word0") + event(" word1") + event("", "length")
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error": {"code": "engine_failed"}}\n\n'


@pytest.mark.parametrize(
    ("status", "body", "end"),
    [
        (200, WHOLE + DONE, "whole"),
        (200, WHOLE, "unmarked"),
        (200, event(" word0") + DONE, "unmarked"),
        (200, event(" word0") + event("", "length") + DONE, "unmarked"),
        (200, event(" word0") + event(" word1") + event("", "stop") + DONE, "unmarked"),
        (200, b"", "unmarked"),
        (200, event(" word0") + ERROR, "error event"),
        (200, event(" word0") + ERROR + DONE, "unmarked"),
        (502, b'{"error": {}}', "refused"),
    ],
)
def test_how_an_answer_of_two_tokens_ended(status: int, body: bytes, end: str) -> None:
    assert text(2) == " word0 word1"
    assert judged(status, body, 2) == end


@pytest.mark.parametrize("how", get_args(Break))
def test_a_broken_answer_is_not_the_whole_one(how: Break) -> None:
    pieces = llama_pieces(24)
    for seed in range(50):
        sent, closes = broken(pieces, how, random.Random(seed))
        assert (sent == b"".join(pieces)) is (how == "none") and closes is (how != "none")
    assert set(get_args(Break)) == {"none", *BREAKS}


async def test_a_small_part_has_every_end_and_none_unmarked() -> None:
    found = await part(1, streams=150)
    late = {end: count for end, count in found.items() if end.endswith("at a shutdown")}
    assert found.total() == 150 + CLIENTS and unmarked(dict(found)) == 0
    assert found["whole"] > 20 and found["error event"] > 20
    assert late == {"error event at a shutdown": CLIENTS}
    assert unmarked({"unmarked": 1, "unmarked at a shutdown": 2, "whole": 9}) == 3
