"""Folders made of model files by processes of their own: made once and whole, or remembered as impossible."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import msgspec
import pytest

import fake_engine
from antiphon.catalogue import preparing
from antiphon.catalogue.entries import Entry, File, PathSource
from antiphon.catalogue.store import ModelStore
from antiphon.engines.base import EngineKind
from antiphon.errors import ConfigurationError

ENTRY = Entry(
    id="m-2024",
    task="chat",
    released=date(2024, 1, 1),
    owned_by="me",
    licence="MIT",
    context=512,
    engine="fake",
    source=PathSource("/models"),
    files=(File(name="m.gguf", size=5, sha256="ab" * 32),),
)
MAKES = """
import json, pathlib, sys
model, out = map(pathlib.Path, sys.argv[1:])
out.mkdir()
for done in (0, 1):
    print(json.dumps({"step": "converting", "done": done, "total": 1}), flush=True)
print("a library says something", flush=True)
(out / "weights").write_bytes(model.read_bytes() * 2)
(out / "runs").write_text(str(out))
"""
FAILS = "import sys; sys.stderr.write('Traceback\\nthis architecture is not known'); sys.exit(2)"


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    store = ModelStore(tmp_path)
    store.path(ENTRY).parent.mkdir(parents=True)
    store.path(ENTRY).write_bytes(b"model")
    return store


@pytest.fixture
def kind() -> Callable[..., EngineKind]:
    """A kind whose preparation is a Python program."""

    def made(program: str = MAKES, version: str = "1") -> EngineKind:
        return fake_engine.kind(
            preparation=lambda model, out: [sys.executable, "-c", program, str(model), str(out)],
            preparation_version=version,
        )

    return made


def test_it_is_made_once_with_its_progress(store: ModelStore, kind: Callable[..., EngineKind]) -> None:
    shown: list[tuple[str, int, int]] = []
    assert not preparing.ready(store, ENTRY, kind())
    for _ in range(2):
        preparing.prepare(store, ENTRY, kind(), lambda *step: shown.append(step))
    assert shown == [("converting", 0, 1), ("converting", 1, 1)]
    assert preparing.ready(store, ENTRY, kind())
    place = preparing.folder(store, ENTRY, kind())
    assert place is not None and (place / "weights").read_bytes() == b"modelmodel"
    preparing.verify(place)
    assert [path.name for path in store.prepared.iterdir()] == [f"{'ab' * 8}-fake-1"]


def test_what_was_changed_or_is_gone_is_found_out(store: ModelStore, kind: Callable[..., EngineKind]) -> None:
    preparing.prepare(store, ENTRY, kind())
    place = preparing.folder(store, ENTRY, kind())
    assert place is not None
    (place / "more").touch()
    with pytest.raises(ConfigurationError, match="was changed"):
        preparing.verify(place)
    (place / "more").unlink()
    (place / "weights").write_bytes(b"x")
    with pytest.raises(ConfigurationError, match="was changed"):
        preparing.verify(place)
    (place / "manifest.json").unlink()
    with pytest.raises(ConfigurationError, match="not whole"):
        preparing.verify(place)


def test_a_failure_is_told_and_remembered_until_it_is_forgotten(
    store: ModelStore, kind: Callable[..., EngineKind]
) -> None:
    with pytest.raises(ConfigurationError, match="this architecture is not known"):
        preparing.prepare(store, ENTRY, kind(FAILS))
    assert "this architecture is not known" in preparing.failure(store, ENTRY, kind(FAILS))
    assert not preparing.ready(store, ENTRY, kind(FAILS))
    preparing.forget_failures(store, ENTRY)
    assert preparing.failure(store, ENTRY, kind(FAILS)) == ""
    assert list(store.prepared.iterdir()) == []


@pytest.mark.parametrize(("code", "stays"), [(2, True), (1, False), (-9, False)])
def test_what_went_wrong_for_once_is_tried_again_at_the_next_start(
    store: ModelStore, kind: Callable[..., EngineKind], code: int, stays: bool
) -> None:
    ends = f"import os, sys; os.kill(os.getpid(), {-code})" if code < 0 else f"import sys; sys.exit({code})"
    with pytest.raises(ConfigurationError):
        preparing.prepare(store, ENTRY, kind(ends))
    assert preparing.failure(store, ENTRY, kind(ends)), "this time another engine serves"
    preparing.forget_failures(store, ENTRY, all=False)
    assert bool(preparing.failure(store, ENTRY, kind(ends))) == stays


def test_another_version_takes_the_place_of_the_one_before(
    store: ModelStore, kind: Callable[..., EngineKind]
) -> None:
    for version in ("1", "2"):
        preparing.prepare(store, ENTRY, kind(version=version))
    assert [path.name for path in store.prepared.iterdir()] == [f"{'ab' * 8}-fake-2"]
    preparing.remove(store, ENTRY)
    assert list(store.prepared.iterdir()) == []


def test_a_folder_is_known_by_all_of_its_files(store: ModelStore, kind: Callable[..., EngineKind]) -> None:
    def place(*hashes: str, names: Sequence[str] = ("config.json", "model.safetensors")) -> str:
        files = tuple(
            File(name=name, size=1, sha256=sha * 64) for name, sha in zip(names, hashes, strict=True)
        )
        found = preparing.folder(store, msgspec.structs.replace(ENTRY, files=files), kind())
        return str(found)

    assert place("a", "b") == place("b", "a", names=("model.safetensors", "config.json"))
    assert len({place("a", "b"), place("a", "c"), place("c", "b"), place("b", "a")}) == 4


def test_a_process_that_says_nothing_for_too_long_is_ended(
    store: ModelStore, kind: Callable[..., EngineKind], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "_SILENCE", 0.3)
    with pytest.raises(ConfigurationError, match="exit code -9"):
        preparing.prepare(store, ENTRY, kind("import time; time.sleep(60)"))


def test_an_engine_that_reads_model_files_needs_nothing(store: ModelStore) -> None:
    plain = fake_engine.kind()
    assert preparing.folder(store, ENTRY, plain) is None
    assert preparing.ready(store, ENTRY, plain)
    preparing.prepare(store, ENTRY, plain)
    assert not store.prepared.exists()


def test_the_process_knows_nothing_of_the_keys_of_this_one(
    store: ModelStore, kind: Callable[..., EngineKind], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTIPHON_SECRET", "x")
    tells = MAKES.replace("str(out)", "__import__('json').dumps(dict(__import__('os').environ))")
    preparing.prepare(store, ENTRY, kind(tells))
    place = preparing.folder(store, ENTRY, kind(tells))
    assert place is not None and "ANTIPHON_SECRET" not in json.loads((place / "runs").read_text())
