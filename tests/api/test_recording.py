"""Answers kept for retries never pass their bounds, and a running request is never forgotten."""

from __future__ import annotations

import asyncio

import pytest

from antiphon.api import recording
from antiphon.api.recording import KEEP_SECONDS, ZERO_SECONDS, Answers
from antiphon.errors import EngineFailed
from antiphon.values import Policy
from until import until

KEPT, ZERO = Policy(), Policy(days=0, stores=False)
BEGAN = 1_800_000_000.5


class Kept:
    def __init__(self) -> None:
        self.now = 100.0
        self.answers = Answers(lambda: self.now)

    def run(self, key: bytes, *pieces: bytes, over: bool = True, policy: Policy = KEPT) -> list[bool]:
        """A request that writes these pieces; the answer says of each whether it was kept."""
        entry = self.answers.begin(key, b"", BEGAN)
        entry.recording.begin("text/plain", streams=True)
        kept = [entry.recording.add(piece) for piece in pieces]
        if over:
            self.answers.finish(key, policy)
        return kept

    def given(self, key: bytes, policy: Policy = KEPT, erased_at: int = 0) -> bool:
        """Whether a retry is given the answer."""
        entry = self.answers.find(key)
        assert entry is not None
        return self.answers.may_give(entry, policy, erased_at)

    def body(self, key: bytes) -> bytes | None:
        entry = self.answers.find(key)
        return None if entry is None else bytes(entry.recording.body)


@pytest.fixture
def kept() -> Kept:
    return Kept()


async def test_an_answer_is_kept_as_it_was_written(kept: Kept) -> None:
    assert kept.run(b"a", b"one", b" two") == [True, True]
    entry = kept.answers.find(b"a")
    assert entry is not None and entry.over.is_set() and entry.error is None
    assert (entry.recording.content_type, entry.recording.streams) == ("text/plain", True)
    assert kept.body(b"a") == b"one two"


async def test_an_error_is_told_and_forgotten(kept: Kept) -> None:
    entry = kept.answers.begin(b"a", b"", BEGAN)
    problem = EngineFailed("no")
    kept.answers.finish(b"a", KEPT, problem)
    assert entry.over.is_set() and entry.error is problem
    assert kept.answers.find(b"a") is None


async def test_an_answer_over_its_bound_is_not_kept(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_ANSWER_BYTES", 5)
    assert kept.run(b"a", b"abc", b"de", b"f", b"") == [True, True, False, False]
    assert kept.answers.find(b"a") is None
    assert kept.run(b"b", b"abc") == [True]


async def test_what_is_not_kept_any_longer_gives_its_room_back(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether one passed its own bound, found no room, failed, or was forgotten."""
    monkeypatch.setattr(recording, "MOST_ANSWER_BYTES", 6)
    monkeypatch.setattr(recording, "MOST_BYTES", 10)
    for _ in range(3):
        assert kept.run(b"long", b"123456", b"7") == [True, False]
        assert kept.run(b"runs", b"123456", over=False) == [True]
        assert kept.run(b"crowded", b"1234", b"5") == [True, False]
        kept.answers.finish(b"runs", KEPT, EngineFailed("no"))
    assert kept.answers.held == 0
    monkeypatch.setattr(recording, "KEEP_SECONDS", 0.01)
    assert kept.run(b"a", b"123456") == [True]
    assert kept.answers.held == 6
    await until(lambda: kept.answers.held == 0)
    assert kept.body(b"a") is None


async def test_the_oldest_gives_way_to_bytes(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_BYTES", 10)
    kept.run(b"a", b"1234")
    kept.run(b"b", b"1234")
    assert kept.run(b"c", b"1234") == [True]
    assert [kept.body(key) for key in (b"a", b"b", b"c")] == [None, b"1234", b"1234"]
    assert kept.run(b"d", b"12345678901") == [False]
    assert kept.run(b"e", b"1234567890") == [True]


async def test_running_requests_are_not_forgotten_but_may_find_no_room(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_BYTES", 10)
    assert kept.run(b"a", b"12345678", over=False) == [True]
    assert kept.run(b"b", b"1234") == [False]
    assert kept.body(b"a") == b"12345678"
    kept.answers.finish(b"a", KEPT)
    assert kept.run(b"b", b"1234") == [True]
    assert kept.body(b"a") is None


async def test_the_oldest_gives_way_to_number(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_ANSWERS", 2)
    kept.run(b"a", b"", over=False)
    for key in (b"b", b"c", b"d"):
        kept.run(key, key)
    assert [kept.body(key) for key in (b"a", b"b", b"c", b"d")] == [b"", None, None, b"d"]


@pytest.mark.parametrize(("policy", "seconds"), [(KEPT, KEEP_SECONDS), (ZERO, ZERO_SECONDS)])
async def test_an_answer_is_given_for_so_long_by_the_policy_and_no_longer(
    kept: Kept, policy: Policy, seconds: float
) -> None:
    kept.run(b"a", b"1", policy=policy)
    entry = kept.answers.find(b"a")
    assert entry is not None and entry.forgetting is not None
    left = entry.forgetting.when() - asyncio.get_running_loop().time()
    assert seconds - 10 < left <= seconds, "and then it is forgotten, whether somebody asks or not"
    kept.now += seconds
    assert kept.given(b"a", policy)
    kept.now += 1
    assert not kept.given(b"a", policy) and kept.body(b"a") == b"" and kept.answers.held == 0


async def test_a_policy_that_became_zero_holds_for_what_is_there(kept: Kept) -> None:
    kept.run(b"a", b"1")
    kept.now += ZERO_SECONDS + 1
    assert kept.given(b"a", KEPT)
    assert not kept.given(b"a", ZERO) and kept.answers.held == 0
    assert not kept.given(b"a", KEPT), "it is gone"


async def test_what_is_of_before_an_erasure_is_not_given_out_any_more(kept: Kept) -> None:
    kept.run(b"a", b"1")
    assert kept.given(b"a", erased_at=int(BEGAN) - 1)
    assert not kept.given(b"a", erased_at=int(BEGAN))
    assert kept.answers.held == 0 and not kept.given(b"a")
