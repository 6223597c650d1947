"""Answers kept for retries never pass their bounds, and a running request is never forgotten."""

from __future__ import annotations

import pytest

from antiphon.api import recording
from antiphon.api.recording import KEEP_SECONDS, Answers
from antiphon.errors import EngineFailed


class Kept:
    def __init__(self) -> None:
        self.now = 100.0
        self.answers = Answers(lambda: self.now)

    def run(self, key: bytes, *pieces: bytes, over: bool = True) -> list[bool]:
        """A request that writes these pieces; the answer says of each whether it was kept."""
        entry = self.answers.begin(key, b"")
        entry.recording.begin("text/plain", streams=True)
        kept = [entry.recording.add(piece) for piece in pieces]
        if over:
            self.answers.finish(key)
        return kept

    def body(self, key: bytes) -> bytes | None:
        entry = self.answers.find(key)
        return None if entry is None else bytes(entry.recording.body)


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_an_answer_is_kept_as_it_was_written(kept: Kept) -> None:
    assert kept.run(b"a", b"one", b" two") == [True, True]
    entry = kept.answers.find(b"a")
    assert entry is not None and entry.over.is_set() and entry.error is None
    assert (entry.recording.content_type, entry.recording.streams) == ("text/plain", True)
    assert kept.body(b"a") == b"one two"


def test_an_error_is_told_and_forgotten(kept: Kept) -> None:
    entry = kept.answers.begin(b"a", b"")
    problem = EngineFailed("no")
    kept.answers.finish(b"a", problem)
    assert entry.over.is_set() and entry.error is problem
    assert kept.answers.find(b"a") is None


def test_an_answer_over_its_bound_is_not_kept(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_ANSWER_BYTES", 5)
    assert kept.run(b"a", b"abc", b"de", b"f", b"") == [True, True, False, False]
    assert kept.answers.find(b"a") is None
    assert kept.run(b"b", b"abc") == [True]


def test_what_is_not_kept_any_longer_gives_its_room_back(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether one passed its own bound, found no room, failed, or was forgotten."""
    monkeypatch.setattr(recording, "MOST_ANSWER_BYTES", 6)
    monkeypatch.setattr(recording, "MOST_BYTES", 10)
    for _ in range(3):
        assert kept.run(b"long", b"123456", b"7") == [True, False]
        assert kept.run(b"runs", b"123456", over=False) == [True]
        assert kept.run(b"crowded", b"1234", b"5") == [True, False]
        kept.answers.finish(b"runs", EngineFailed("no"))
    assert kept.answers.held == 0
    assert kept.run(b"a", b"123456") == [True]
    assert kept.answers.held == 6
    kept.now += KEEP_SECONDS + 1
    assert kept.body(b"a") is None
    assert kept.answers.held == 0


def test_the_oldest_gives_way_to_bytes(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_BYTES", 10)
    kept.run(b"a", b"1234")
    kept.run(b"b", b"1234")
    assert kept.run(b"c", b"1234") == [True]
    assert [kept.body(key) for key in (b"a", b"b", b"c")] == [None, b"1234", b"1234"]
    assert kept.run(b"d", b"12345678901") == [False]
    assert kept.run(b"e", b"1234567890") == [True]


def test_running_requests_are_not_forgotten_but_may_find_no_room(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_BYTES", 10)
    assert kept.run(b"a", b"12345678", over=False) == [True]
    assert kept.run(b"b", b"1234") == [False]
    assert kept.body(b"a") == b"12345678"
    kept.answers.finish(b"a")
    assert kept.run(b"b", b"1234") == [True]
    assert kept.body(b"a") is None


def test_the_oldest_gives_way_to_number(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_ANSWERS", 2)
    kept.run(b"a", b"", over=False)
    for key in (b"b", b"c", b"d"):
        kept.run(key, key)
    assert [kept.body(key) for key in (b"a", b"b", b"c", b"d")] == [b"", None, None, b"d"]


def test_a_day_is_enough(kept: Kept) -> None:
    kept.run(b"a", b"1")
    kept.now += KEEP_SECONDS
    kept.run(b"b", b"2")
    assert kept.body(b"a") == b"1"
    kept.now += 1
    assert (kept.body(b"a"), kept.body(b"b")) == (None, b"2")
