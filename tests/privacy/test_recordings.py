"""Recordings of any length are read as they were; cut, changed, or in another order they are not."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.privacy.recordings import PIECE, read, seal, unseal
from antiphon.privacy.sealing import Unreadable, new_secret

OF = b"org-1\0cont_1\0recording"
SECRET = new_secret()


def sealed(size: int) -> tuple[bytes, list[bytes]]:
    plain = bytes(number % 251 for number in range(size))
    return plain, list(seal(SECRET, [plain], OF))


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 5])
@pytest.mark.parametrize("step", [1000, PIECE, PIECE + 16, 10_000_000])
def test_it_is_read_as_it_was_however_it_is_cut(size: int, step: int) -> None:
    plain, pieces = sealed(size)
    whole = b"".join(pieces)
    cut = (whole[start : start + step] for start in range(0, len(whole), step))
    assert b"".join(unseal(SECRET, cut, OF)) == plain


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_it_may_be_given_in_pieces_of_any_length(pieces: list[bytes]) -> None:
    assert b"".join(unseal(SECRET, seal(SECRET, pieces, OF), OF)) == b"".join(pieces)


@pytest.mark.parametrize("size", [PIECE, 3 * PIECE, 3 * PIECE + 5])
def test_what_was_tampered_with_is_unreadable(size: int) -> None:
    _, [head, *pieces] = sealed(size)
    changed = bytes([pieces[0][0] ^ 1]) + pieces[0][1:]
    worse = [
        [head, *pieces[:-1]],  # cut between two pieces, or without any
        [head, *pieces[:-1], pieces[-1][:-1]],
        [head, *pieces, pieces[-1]],
        [head, *pieces, b"x"],
        [head, changed, *pieces[1:]],
        [head[:-1]],
        [],
        [bytes(len(head)), *pieces],
    ]
    if len(pieces) > 2:
        worse.append([head, pieces[1], pieces[0], *pieces[2:]])
        worse.append([head, pieces[0], pieces[0], *pieces[1:]])
    for one in worse:
        with pytest.raises(Unreadable):
            list(unseal(SECRET, one, OF))


def test_only_its_own_key_opens_it_as_what_it_is() -> None:
    _, pieces = sealed(10)
    for secret, of in ((new_secret(), OF), (SECRET, b"org-2\0cont_1\0recording")):
        with pytest.raises(Unreadable):
            list(unseal(secret, pieces, of))


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.truncate(32 * 1024 * 1024)

    def count(pieces: Iterator[bytes]) -> int:
        return sum(map(len, pieces))

    tracemalloc.start()
    assert count(unseal(SECRET, seal(SECRET, read(path), OF), OF)) == 32 * 1024 * 1024
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 1024 * 1024
