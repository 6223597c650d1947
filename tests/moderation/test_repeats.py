from __future__ import annotations

import hashlib
from pathlib import Path

from antiphon.moderation import repeats
from antiphon.moderation.repeats import WINDOW_SECONDS, Repeats, digest


def add(seen: Repeats, at: float, organization: str = "org-1", what: bytes = b"a") -> int:
    """A recording came with a request of its own, and was told of if it is to be."""
    if times := seen.add(organization, what, f"req_{at}", at):
        seen.told(organization, what, at)
    return times


def test_the_same_recording_is_told_of_once_an_hour() -> None:
    seen = Repeats(3)
    assert [add(seen, at) for at in (0, 1, 2, 3, 4)] == [0, 0, 3, 0, 0]
    later = 3 + WINDOW_SECONDS
    assert [add(seen, later + at) for at in (0, 1, 2, 3)] == [0, 0, 3, 0]


def test_a_request_counts_once_and_is_to_be_told_until_it_was() -> None:
    seen = Repeats(2)
    assert [seen.add("org-1", b"a", "req_1", 0), seen.add("org-1", b"a", "req_1", 0)] == [0, 0]
    assert [seen.add("org-1", b"a", "req_2", 1), seen.add("org-1", b"a", "req_2", 1)] == [2, 2]
    seen.told("org-1", b"a", 1)
    assert seen.add("org-1", b"a", "req_2", 1) == 0
    seen.told("org-2", b"unknown", 1)
    assert len(seen._told) == 1


def test_others_recordings_and_those_of_long_ago_do_not_count() -> None:
    seen = Repeats(2)
    assert [add(seen, 0), add(seen, 1, "org-2"), add(seen, 2, what=b"b")] == [0, 0, 0]
    assert add(seen, WINDOW_SECONDS + 1) == 0
    assert add(seen, WINDOW_SECONDS + 2) == 2


def test_what_is_remembered_is_bounded(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(repeats, "MOST_RECORDINGS", 10)
    seen = Repeats(2)
    for at in range(100):
        add(seen, at, what=str(at).encode())
        add(seen, at + 0.5, what=str(at).encode())
    assert len(seen) == len(seen._told) == 10


def test_the_digest_is_of_the_whole_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 300_000)
    file = (tmp_path / "a").open("rb")
    assert digest(file) == hashlib.sha256(b"x" * 300_000).digest() and file.closed
