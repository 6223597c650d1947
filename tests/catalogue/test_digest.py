"""Hashing in pieces."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from antiphon.catalogue.digest import PIECE, sha256_of


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 3 * PIECE])
def test_the_digest_is_that_of_the_whole_file(tmp_path: Path, size: int) -> None:
    content = (b"0123456789" * (size // 10 + 1))[:size]
    (tmp_path / "file").write_bytes(content)
    done: list[int] = []
    assert sha256_of(tmp_path / "file", done.append) == hashlib.sha256(content).hexdigest()
    assert done == sorted(done)
    assert (done or [0])[-1] == size
