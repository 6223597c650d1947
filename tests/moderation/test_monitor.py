"""The monitor over real scorers of rules, and over ones that are slow or away."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any

import msgspec
import pytest

from antiphon.errors import Unavailable
from antiphon.moderation import monitor as module
from antiphon.moderation.monitor import Monitor, Seen
from antiphon.moderation.policy import REPEATED
from antiphon.moderation.repeats import digest
from antiphon.moderation.rules import load
from antiphon.moderation.scorers.rules import RulesScorer
from antiphon.moderation.scoring import Panel, Scores
from antiphon.values import Policy
from observations import seen
from service import CALLER, serving
from until import until

BAD = "I want to kill myself"


def asking(*texts: str, **more: Any) -> Any:
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    return seen({"messages": messages}, **more)


class Gated(RulesScorer):
    """Rules that wait until they may go on, and fail as often as they are told to."""

    def __init__(self) -> None:
        super().__init__(load(Path("/nowhere")))
        self.may, self.failures, self.texts = asyncio.Event(), 0, list[str]()
        self.seconds = 0.0

    async def score(self, texts: Sequence[str]) -> list[Scores]:
        await self.may.wait()
        await asyncio.sleep(self.seconds)
        self.texts += texts
        if self.failures:
            self.failures -= 1
            raise Unavailable("It is away.")
        return await super().score(texts)


class Watch:
    """A monitor that runs, and what it acted on."""

    def __init__(self, **options: Any) -> None:
        self.scorer, self.acted, self.refusals = Gated(), list[Seen](), 0
        settings = {"rate": 1000.0, "queue": 5, "repeats": 3} | options
        scorers = [self.scorer, *settings.pop("beside", [])]
        self.monitor = Monitor(Panel(scorers), self.act, **settings)

    async def act(self, found: Seen) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("The database is away.")
        self.acted.append(found)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.monitor.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def settled(self) -> None:
        async with asyncio.timeout(10):
            await self.monitor.settled()


async def test_what_is_found_is_acted_on_and_nothing_else() -> None:
    watch = Watch()
    watch.scorer.may.set()
    async with watch.running():
        watch.monitor.observe(asking("What time is it?"))
        watch.monitor.observe(asking(BAD, request_id="req_2"))
        await watch.settled()
    [found] = watch.acted
    assert (found.request_id, found.caller, found.at) == ("req_2", CALLER, 1_800_000_000.0)
    assert {(one.side, one.category, one.score, one.scorer) for one in found.findings} == {
        ("input", "self-harm", 0.95, "rules"), ("input", "self-harm/intent", 0.95, "rules"),
    }  # fmt: skip
    assert BAD not in repr(found)
    assert watch.monitor.outcomes == {"scored": 2, "unseen": 0, "failed": 0, "unheard": 0}


async def test_a_conversations_older_messages_are_scored_once() -> None:
    watch = Watch()
    watch.scorer.may.set()
    async with watch.running():
        watch.monitor.observe(asking(BAD))
        await watch.settled()
        watch.monitor.observe(asking(BAD, "Please talk to somebody.", "I did, thank you."))
        await watch.settled()
        assert watch.scorer.texts == [BAD, "I did, thank you.", "Please talk to somebody."]
        assert len(watch.acted) == 1
        # What was made up as history is new, and so it is seen.
        watch.monitor.observe(asking("I will stab you.", "Why?", "Because."))
        await watch.settled()
    assert len(watch.acted) == 2


async def test_below_the_bound_nothing_is_lost_and_above_it_is_counted_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch = Watch()
    async with watch.running():
        for at in range(10):
            watch.monitor.observe(asking(BAD, request_id=f"req_{at}"))
        assert watch.monitor.waiting == 5
        watch.scorer.may.set()
        await watch.settled()
        for at in range(10, 15):
            watch.monitor.observe(asking(BAD, request_id=f"req_{at}"))
        await watch.settled()
    assert [one.request_id for one in watch.acted] == [
        f"req_{at}" for at in (0, 1, 2, 3, 4, 10, 11, 12, 13, 14)
    ]
    assert watch.monitor.outcomes == {"scored": 10, "unseen": 5, "failed": 0, "unheard": 0}
    with caplog.at_level(logging.WARNING):
        await watch.monitor.drain(1)
    assert "5 requests had no room" in caplog.text and BAD not in caplog.text


async def test_what_waits_is_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    watch = Watch(queue=100)
    for _ in range(10):
        watch.monitor.observe(asking("x" * 300))
    assert watch.monitor.waiting == 2 and watch.monitor.outcomes["unseen"] == 8


async def test_scorers_that_are_away_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN", 0.01)
    watch = Watch()
    watch.scorer.may.set()
    watch.scorer.failures = 2
    async with watch.running():
        watch.monitor.observe(asking(BAD))
        await watch.settled()
        assert len(watch.acted) == 1
        watch.scorer.failures = 100
        watch.monitor.observe(asking(BAD))
        await watch.settled()
    assert watch.monitor.outcomes == {"scored": 1, "unseen": 0, "failed": 1, "unheard": 0}


async def test_one_scorer_that_is_away_is_waited_for_though_others_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_AGAIN", 0.01)
    beside = Gated()
    beside.may.set()
    watch = Watch(beside=[beside])
    watch.scorer.may.set()
    async with watch.running():
        beside.failures = 2
        watch.monitor.observe(asking("Hello"))
        await watch.settled()
        assert len(beside.texts) == 3 and watch.monitor.outcomes["scored"] == 1
        # In the end what the others found counts, but it is not taken for scored, nor remembered.
        beside.failures = 100
        watch.monitor.observe(asking(BAD, request_id="req_2"))
        watch.monitor.observe(asking(BAD, request_id="req_3"))
        await watch.settled()
        assert [one.request_id for one in watch.acted] == ["req_2", "req_3"]
        assert watch.monitor.outcomes == {"scored": 1, "unseen": 0, "failed": 2, "unheard": 0}
        # While it stays away nobody waits for it in vain: one try, and one without it.
        assert len(beside.texts) == 3 + (module.TRIES + 1) + 2
        beside.failures = 0
        watch.monitor.observe(asking(BAD, "Please talk to somebody.", "I did.", request_id="req_4"))
        await watch.settled()
    assert beside.texts[-3:] == ["I did.", "Please talk to somebody.", BAD]
    assert [one.request_id for one in watch.acted] == ["req_2", "req_3", "req_4"]
    assert watch.monitor.outcomes["scored"] == 2


async def test_new_texts_beyond_the_bound_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TEXTS", 3)
    watch = Watch()
    watch.scorer.may.set()
    async with watch.running():
        watch.monitor.observe(seen({"input": ["a", "b", "c", "d"]}, kind="embedding"))
        await watch.settled()
    assert watch.scorer.texts == ["d", "c", "b"]
    assert watch.monitor.outcomes == {"scored": 1, "unseen": 1, "failed": 0, "unheard": 0}


async def test_a_shutdown_loses_nothing_that_can_be_scored_in_time() -> None:
    watch = Watch()
    async with watch.running():
        for at in range(3):
            watch.monitor.observe(asking(BAD, request_id=f"req_{at}"))
        await asyncio.sleep(0.05)  # the first is being looked at
    watch.scorer.may.set()
    await watch.monitor.drain(5)
    assert {one.request_id for one in watch.acted} == {"req_0", "req_1", "req_2"}
    watch.scorer.may.clear()
    watch.monitor.observe(asking(BAD))
    await watch.monitor.drain(0.05)
    assert watch.monitor.outcomes["unseen"] == 1 and watch.monitor.waiting == 0


async def test_the_rate_is_bounded() -> None:
    watch = Watch(rate=20.0)
    watch.scorer.may.set()
    async with watch.running():
        began = time.monotonic()
        for _ in range(5):
            watch.monitor.observe(asking("Hello"))
        await watch.settled()
        assert time.monotonic() - began > 4 / 20 * 0.9


async def test_the_rate_is_held_where_scoring_takes_most_of_it() -> None:
    watch = Watch(rate=10.0)
    watch.scorer.may.set()
    watch.scorer.seconds = 0.08
    async with watch.running():
        began = time.monotonic()
        for _ in range(5):
            watch.monitor.observe(asking("Hello"))
        await watch.settled()
        assert 4 / 10 * 0.9 < time.monotonic() - began < 0.75


async def test_a_recording_that_waits_is_in_no_folder_and_not_open(tmp_path: Path) -> None:
    """Nobody looks yet, whatever the policy: what waits is a digest. What is found is what it was."""
    zero = msgspec.structs.replace(CALLER, policy=Policy(days=0, stores=False))
    watch, upload = Watch(repeats=2, queue=100), tmp_path / "upload"
    before = open_files()
    for at in range(30):
        upload.write_bytes(b"the same sound")
        caller = zero if at % 2 else CALLER
        watch.monitor.observe(seen({}, recording=upload, request_id=f"req_{at}", caller=caller))
        assert os.listdir(tmp_path) == ["upload"]
        upload.unlink()
    await until(lambda: open_files() == before)
    assert os.listdir(tmp_path) == [] and watch.monitor.waiting == 30
    watch.scorer.may.set()
    async with watch.running():
        await watch.settled()
    assert [one.request_id for one in watch.acted] == ["req_1"]
    assert watch.monitor.outcomes == {"scored": 30, "unseen": 0, "failed": 0, "unheard": 0}


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


@pytest.mark.parametrize(("bound", "most"), [("MOST_RECORDED", 25), ("MOST_OPEN", 2)])
async def test_recordings_whose_digests_are_taken_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    may = threading.Event()

    def slow(file: BufferedReader) -> bytes:
        assert may.wait(30)
        return digest(file)

    monkeypatch.setattr(module, bound, most)
    monkeypatch.setattr(module, "digest", slow)
    watch, upload = Watch(), tmp_path / "upload"
    upload.write_bytes(b"x" * 10)
    for at in range(4):
        watch.monitor.observe(seen({"prompt": "names"}, recording=upload, request_id=f"req_{at}"))
    assert watch.monitor.outcomes["unheard"] == 2
    may.set()
    watch.scorer.may.set()
    async with watch.running():
        await watch.settled()
        assert watch.monitor.outcomes["scored"] == 4
        watch.monitor.observe(seen({}, recording=upload))
        assert watch.monitor.outcomes["unheard"] == 2
        await watch.settled()


async def test_a_shutdown_in_the_midst_of_a_digest_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may, begun = threading.Event(), threading.Event()

    def slow(file: BufferedReader) -> bytes:
        begun.set()
        assert may.wait(30)
        return digest(file)

    monkeypatch.setattr(module, "digest", slow)
    watch, upload = Watch(repeats=2), tmp_path / "upload"
    upload.write_bytes(b"sound")
    watch.scorer.may.set()
    async with watch.running():
        for at in range(2):
            watch.monitor.observe(seen({}, recording=upload, request_id=f"req_{at}"))
        await asyncio.to_thread(begun.wait, 10)
        await asyncio.sleep(0.05)  # the first is being looked at
    may.set()
    await watch.monitor.drain(10)
    assert [one.request_id for one in watch.acted] == ["req_1"]
    assert watch.monitor.outcomes == {"scored": 2, "unseen": 0, "failed": 0, "unheard": 0}


async def test_a_recording_that_cannot_be_read_is_counted_and_its_text_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(file: BufferedReader) -> bytes:
        file.close()
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(module, "digest", broken)
    watch, upload = Watch(), tmp_path / "upload"
    upload.write_bytes(b"sound")
    watch.scorer.may.set()
    async with watch.running():
        watch.monitor.observe(seen({"prompt": BAD}, recording=upload))
        await watch.settled()
    assert len(watch.acted) == 1
    assert watch.monitor.outcomes == {"scored": 1, "unseen": 0, "failed": 0, "unheard": 1}


async def test_a_repeated_recording_is_told_of_though_the_database_is_away_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AGAIN", 0.01)
    watch, upload = Watch(repeats=2), tmp_path / "upload"
    upload.write_bytes(b"the same sound")
    watch.scorer.may.set()
    async with watch.running():
        watch.monitor.observe(seen({}, recording=upload, request_id="req_0"))
        await watch.settled()
        watch.refusals = 1
        watch.monitor.observe(seen({}, recording=upload, request_id="req_1"))
        await watch.settled()
        assert [one.findings[0].category for one in watch.acted] == [REPEATED]
        # All tries in vain: the next of its kind tells.
        watch.refusals = module.TRIES
        upload.write_bytes(b"another sound")
        for at in range(3):
            watch.monitor.observe(seen({}, recording=upload, request_id=f"req_2{at}"))
            await watch.settled()
    assert [one.request_id for one in watch.acted] == ["req_1", "req_22"]


async def test_the_same_recording_over_and_over_is_found(tmp_path: Path) -> None:
    watch, upload = Watch(), tmp_path / "upload"
    watch.scorer.may.set()
    async with watch.running():
        for at in range(4):
            upload.write_bytes(b"the same sound")
            watch.monitor.observe(seen({}, {"text": "Hi."}, recording=upload, request_id=f"req_{at}"))
            upload.unlink()
            await watch.settled()
    [found] = watch.acted
    assert (found.request_id, found.findings[0].category) == ("req_2", REPEATED)
    assert found.detail == "the same recording 3 times within an hour"
    assert os.listdir(tmp_path) == []
    watch.monitor.observe(seen({}, recording=tmp_path / "gone"))
    assert watch.monitor.outcomes["unheard"] == 1


async def test_answers_do_not_wait_for_scorers(tmp_path: Path) -> None:
    """With a scorer that hangs for ever, requests are answered as if there were none."""
    watch = Watch()
    async with watch.running(), serving(tmp_path, observers=[watch.monitor]) as service:
        async with asyncio.timeout(10):
            for stream in (False, True) * 5:
                status, _, _ = await service.chat(stream=stream)
                assert status == 200
        assert watch.monitor.outcomes["unseen"] == 4 and watch.monitor.waiting == 5
        watch.scorer.may.set()
        await watch.settled()
        assert watch.scorer.texts.count("Say hello") == 6 and watch.scorer.texts.count("Hello you") == 6
