from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from supply.locks import FOLDER, LOCKS, Unreadable, read, read_all

HASH = "a" * 64
GOOD = f"Some.Package==1.2 ; os_name == 'x' \\\n    --hash=sha256:{HASH} \\\n    --hash=sha256:{'b' * 64}\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "x.txt"
    path.write_text(text)
    return path


def test_every_lock_of_the_checkout_is_read_whole() -> None:
    locks = read_all()
    assert tuple(locks) == LOCKS
    for name, lock in locks.items():
        text = (FOLDER / f"{name}.txt").read_text()
        assert sum(len(one.hashes) for one in lock) == text.count("--hash=")
        assert len(lock) == sum(1 for line in text.splitlines() if line[0].isalpha())


def test_a_package_has_a_name_a_version_and_hashes(tmp_path: Path) -> None:
    [one] = read(written(tmp_path, f"# a comment\n\n{GOOD}"))
    assert (one.name, one.version, one.hashes) == ("some-package", Version("1.2"), (HASH, "b" * 64))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "locks nothing"),
        ("# nothing\n", "locks nothing"),
        ("a==1\n", "a has no SHA-256"),
        (f"a==1 --hash=md5:{HASH}\n", "a has no SHA-256"),
        (f"a==1 --hash=sha256:{HASH[1:]}\n", "a has no SHA-256"),
        (f"a==1 --hash=sha256:{HASH} --no-binary\n", "a has no SHA-256"),
        (f"a>=1 --hash=sha256:{HASH}\n", "not pinned"),
        (f"a --hash=sha256:{HASH}\n", "not pinned"),
        (f"a==1.* --hash=sha256:{HASH}\n", "not pinned"),
        (f"a===1 --hash=sha256:{HASH}\n", "not pinned"),
        (f"a==1,!=2 --hash=sha256:{HASH}\n", "not pinned"),
        (f"{GOOD}--index-url https://example.com/simple\n", "x.txt:4: only packages"),
        (f"{GOOD}--extra-index-url=elsewhere\n", "no option and no address"),
        (f"a @ file:///tmp/a.whl --hash=sha256:{HASH}\n", "no option and no address"),
        ("-e .\n", "no option and no address"),
        ("?? ==\n", "x.txt:1"),
        ("a==1 \\\n", "line 1 goes on"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        read(written(tmp_path, text))


def test_a_lock_that_is_missing_or_unknown_is_refused(tmp_path: Path) -> None:
    for name in LOCKS[1:]:
        (tmp_path / f"{name}.txt").write_text(GOOD)
    with pytest.raises(Unreadable, match=f"missing: {LOCKS[0]}.txt"):
        read_all(tmp_path)
    (tmp_path / f"{LOCKS[0]}.txt").write_text(GOOD)
    assert len(read_all(tmp_path)) == len(LOCKS)
    (tmp_path / "other.txt").write_text(GOOD)
    with pytest.raises(Unreadable, match=r"nobody knows other\.txt"):
        read_all(tmp_path)
    with pytest.raises(Unreadable, match="cannot decode|codec"):
        (tmp_path / "other.txt").write_bytes(b"\xff")
        read(tmp_path / "other.txt")
