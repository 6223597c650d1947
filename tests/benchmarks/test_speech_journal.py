"""The journal of a run: each step is measured once, whatever cut the run off."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.journal import Journal
from benchmarks.speech.values import Answer


class Clock:
    """Something to measure that says how often it was."""

    def __init__(self) -> None:
        self.calls = 0

    async def measure(self) -> Answer:
        self.calls += 1
        return Answer(f"text {self.calls}\n", self.calls, 0.5)


async def broken() -> Answer:
    raise RuntimeError("cut off")


def cut_off(path: Path, keep: int) -> None:
    """Of the last line, only its first bytes are left."""
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:-1], lines[-1][:keep]]))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "build" / "journal.jsonl"


async def test_a_step_is_measured_once(path: Path) -> None:
    clock = Clock()
    journal = Journal(path)
    first = await journal.once("a", Answer, clock.measure)
    assert await journal.once("a", Answer, clock.measure) == first == Answer("text 1\n", 1.0, 0.5)
    assert "a" in journal and "b" not in journal


async def test_another_run_goes_on(path: Path) -> None:
    clock = Clock()
    await Journal(path).once("a", Answer, clock.measure)
    again = Journal(path)
    found = [await again.once(step, Answer, clock.measure) for step in ("a", "b")]
    assert [one.text for one in found] == ["text 1\n", "text 2\n"]


async def test_a_step_that_failed_is_measured_again(path: Path) -> None:
    with pytest.raises(RuntimeError):
        await Journal(path).once("a", Answer, broken)
    assert (await Journal(path).once("a", Answer, Clock().measure)).text == "text 1\n"


@pytest.mark.parametrize("keep", range(0, 30, 3))
async def test_a_line_that_was_cut_off_does_not_count(path: Path, keep: int) -> None:
    clock = Clock()
    journal = Journal(path)
    for step in ("a", "b"):
        await journal.once(step, Answer, clock.measure)
    cut_off(path, keep)

    again = Journal(path)
    assert "a" in again and "b" not in again
    await again.once("b", Answer, clock.measure)
    assert "a" in Journal(path) and "b" in Journal(path)


async def test_what_is_measured_is_told_and_what_is_known_is_not(path: Path) -> None:
    told: list[str] = []
    await Journal(path, told.append).once("a", Answer, Clock().measure)
    await Journal(path, told.append).once("a", Answer, Clock().measure)
    assert told == ["a"]


async def test_a_removed_journal_knows_nothing(path: Path) -> None:
    journal = Journal(path)
    await journal.once("a", Answer, Clock().measure)
    journal.remove()
    assert "a" not in journal and "a" not in Journal(path)
    journal.remove()
