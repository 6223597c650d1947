from __future__ import annotations

import hashlib
from pathlib import Path

from antiphon.moderation import repeats
from antiphon.moderation.repeats import WINDOW_SECONDS, Repeats, digest


def test_the_same_recording_is_told_of_once_an_hour() -> None:
    seen = Repeats(3)
    assert [seen.add("org-1", b"a", at) for at in (0, 1, 2, 3, 4)] == [0, 0, 3, 0, 0]
    later = 3 + WINDOW_SECONDS
    assert [seen.add("org-1", b"a", later + at) for at in (0, 1, 2, 3)] == [0, 0, 3, 0]


def test_others_recordings_and_those_of_long_ago_do_not_count() -> None:
    seen = Repeats(2)
    assert [seen.add("org-1", b"a", 0), seen.add("org-2", b"a", 1), seen.add("org-1", b"b", 2)] == [0, 0, 0]
    assert seen.add("org-1", b"a", WINDOW_SECONDS + 1) == 0
    assert seen.add("org-1", b"a", WINDOW_SECONDS + 2) == 2


def test_what_is_remembered_is_bounded(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(repeats, "MOST_RECORDINGS", 10)
    seen = Repeats(2)
    for at in range(100):
        seen.add("org-1", str(at).encode(), at)
        seen.add("org-1", str(at).encode(), at)
    assert len(seen) == len(seen._told) == 10


def test_the_digest_is_of_the_whole_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 300_000)
    assert digest(tmp_path / "a") == hashlib.sha256(b"x" * 300_000).digest()
