"""What the books may say of a stream, for how it ended."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from benchmarks.books import agrees
from benchmarks.streams import Stream


def whole(finish: str | None, pieces: int, usage: int) -> Stream:
    stream = Stream(tokens=40)
    stream.end, stream.finish, stream.pieces, stream.usage = "whole", finish, pieces, (48, usage)
    return stream


@pytest.mark.parametrize(
    ("finish", "pieces", "usage", "right"),
    [
        ("length", 40, 40, True),
        ("length", 39, 40, True),
        ("length", 16, 16, False),
        ("stop", 15, 16, True),
        ("stop", 16, 16, False),
        ("stop", 41, 42, False),
        (None, 40, 40, False),
    ],
)
def test_a_whole_answer_ends_where_it_says(finish: str | None, pieces: int, usage: int, right: bool) -> None:
    row = SimpleNamespace(status="settled", input_tokens=48, output_tokens=usage)
    assert agrees(whole(finish, pieces, usage), row) is right


def test_a_whole_answer_is_billed_as_it_was_told() -> None:
    row = SimpleNamespace(status="settled", input_tokens=48, output_tokens=40)
    assert not agrees(whole("stop", 15, 16), row)
    assert not agrees(whole("length", 40, 40), SimpleNamespace(**(vars(row) | {"status": "open"})))
