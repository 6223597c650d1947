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


FOLDER = ["config.json", "tokenizer.json", "tokenizer_config.json"]


def names(place: object) -> set[str]:
    return {file.name for file in offer(str(place)).files}


def test_a_folder_offers_what_the_model_consists_of_and_no_code(tmp_path: Path) -> None:
    wanted = {*FOLDER, "generation_config.json", "chat_template.jinja", "model.safetensors"}
    others = {
        *("modeling_tiny.py", "pytorch_model.bin", "training_args.bin", "README.md", "vocab.json"),
        *("consolidated.safetensors", "adapter_model.safetensors", "model.safetensors.index.json"),
    }
    for name in wanted | others:
        (tmp_path / name).write_text("x")
    assert names(tmp_path) == wanted
    (tmp_path / "generation_config.json").unlink()
    (tmp_path / "chat_template.jinja").unlink()
    assert names(tmp_path) == {*FOLDER, "model.safetensors"}


def test_a_model_of_several_parts_is_offered_with_all_of_them(tmp_path: Path) -> None:
    parts = {f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)}
    for name in (*FOLDER, *parts):
        (tmp_path / name).write_text("x")
    assert names(tmp_path) == {*FOLDER, *parts}
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(ConfigurationError, match="all parts"):
        offer(str(tmp_path))


def test_a_gguf_file_goes_first_unless_there_are_several(tmp_path: Path) -> None:
    for name in (*FOLDER, "model.safetensors"):
        (tmp_path / name).write_text("x")
    write_gguf(tmp_path / "a.gguf")
    assert names(tmp_path) == {"a.gguf"}
    write_gguf(tmp_path / "b.gguf")
    assert names(tmp_path) == {*FOLDER, "model.safetensors"}
    assert names(tmp_path / "b.gguf") == {"b.gguf"}


def test_a_folder_of_the_hub_is_offered_with_the_hashes_that_the_hub_knows(hub: Hub) -> None:
    for name in FOLDER:
        hub.files["org/folder", name] = b"{}"
        hub.files["org/folder", f"onnx/{name}"] = b"{}"
    hub.files["org/folder", "model.safetensors"] = bytes(5000)
    hub.files["org/folder", "model.py"] = b"import os"
    found = {file.name: file for file in offer("hf:org/folder").files}
    assert set(found) == {*FOLDER, "model.safetensors"}
    assert found["model.safetensors"].sha256 == hub.sha256("org/folder", "model.safetensors")
    assert all(file.parts == () for file in found.values())


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
        ("/", "neither a GGUF file nor a model's folder"),
    ],
)
def test_a_place_without_a_model_is_refused(hub: Hub, place: str, said: str) -> None:
    hub.files["org/bad", "-x.gguf"] = b"x"
    hub.files["org/empty", "x.gguf"] = b""
    hub.files["org/up", "../x.gguf"] = b"x"
    with pytest.raises(ConfigurationError, match=said) as refusal:
        offer(place)
    assert refusal.value.fix
