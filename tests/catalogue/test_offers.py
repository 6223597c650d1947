"""Which files at a place make a model, before any of them is brought."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from antiphon.catalogue.entries import HubSource, PathSource
from antiphon.catalogue.offers import offer
from antiphon.errors import ConfigurationError
from hub import COMMIT, Hub, serving
from tiny_models import whisper_files, write_gguf, write_whisper


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        hub.files["org/chat", "q4/tiny.gguf"] = bytes(5000)
        hub.files["org/chat", "README.md"] = b"hello"
        yield hub


def test_the_only_gguf_file_of_a_repository_is_offered(hub: Hub) -> None:
    found = offer("hf:org/chat")
    assert found.source == HubSource(repo="org/chat", revision=COMMIT)
    assert (found.owned_by, found.licence) == ("org", "apache-2.0")
    (file,) = found.files
    assert (file.name, file.size, file.origins) == ("tiny.gguf", 5000, ("q4/tiny.gguf",))
    assert file.sha256 == hub.sha256("org/chat", "q4/tiny.gguf")
    assert hub.ranges() == []


def test_of_several_gguf_files_one_has_to_be_named(hub: Hub) -> None:
    hub.files["org/chat", "q8/tiny.gguf"] = bytes(9000)
    with pytest.raises(ConfigurationError, match="holds 2 GGUF files") as refusal:
        offer("hf:org/chat")
    assert refusal.value.fix == "name one of them: q4/tiny.gguf, q8/tiny.gguf"
    assert offer(f"hf:org/chat/q8/tiny.gguf@{COMMIT}").files[0].size == 9000


def test_a_path_offers_the_files_of_the_model_alone(tmp_path: Path) -> None:
    write_whisper(tmp_path / "speech")
    (tmp_path / "speech" / "notes.txt").write_text("not of the model")
    found = offer(str(tmp_path / "speech"))
    assert found.source == PathSource(path=str(tmp_path / "speech"))
    assert {file.name for file in found.files} == set(whisper_files())
    assert found.released == datetime.now(UTC).date()
    write_gguf(tmp_path / "a.gguf")
    write_gguf(tmp_path / "b.gguf")
    assert [file.name for file in offer(str(tmp_path / "b.gguf")).files] == ["b.gguf"]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("hf:org", "is no place on the hub"),
        ("hf:org/chat@a b", "is no place on the hub"),
        ("hf:org/chat/README.md", "is not a GGUF file"),
        ("hf:org/none", "There is no hf:org/none"),
        ("hf:org/bad", r"'-x\.gguf' cannot be taken"),
        ("hf:org/empty", "cannot be taken"),
        ("hf:org/up", "cannot be taken"),
        ("/no/such/place", "cannot be read: No such file"),
        ("/", "neither a GGUF file nor a CTranslate2 model"),
    ],
)
def test_a_place_without_a_model_is_refused(hub: Hub, place: str, said: str) -> None:
    hub.files["org/bad", "-x.gguf"] = b"x"
    hub.files["org/empty", "x.gguf"] = b""
    hub.files["org/up", "../x.gguf"] = b"x"
    with pytest.raises(ConfigurationError, match=said) as refusal:
        offer(place)
    assert refusal.value.fix
