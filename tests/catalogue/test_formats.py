"""What model files say of themselves, and what only bears their name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from antiphon.catalogue.formats import Facts, inspect
from antiphon.errors import ConfigurationError
from antiphon.values import Pooling
from hugging_face import FIGURES, write_json, write_tiny
from tiny_models import whisper_files, write_bert, write_gguf, write_whisper

WHISPER = list(whisper_files())


def test_the_bundled_models_are_understood(smollm2: Path, whisper_base: Path) -> None:
    chat = inspect(smollm2.parent, [smollm2.name], None)
    assert chat == Facts(task="chat", context=8192, licence="apache-2.0")
    assert inspect(whisper_base, WHISPER, None) == Facts(task="speech")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"kind": "mmproj"}, "is not a language model"),
        ({"context": None}, "is not a language model"),
        ({"context": 0}, "is not a language model"),
        ({"splits": 3}, "one part of a split model"),
        ({"template": None}, "no chat template"),
    ],
)
def test_a_gguf_file_that_is_no_whole_chat_model_is_refused(
    tmp_path: Path, facts: dict[str, object], said: str
) -> None:
    write_gguf(tmp_path / "x.gguf", **facts)
    with pytest.raises(ConfigurationError, match=said) as refusal:
        inspect(tmp_path, ["x.gguf"], None)
    assert refusal.value.fix


@pytest.mark.parametrize(("number", "pooling"), [(1, "mean"), (2, "cls"), (3, "last")])
def test_an_embedding_model_says_how_it_pools(tmp_path: Path, number: int, pooling: Pooling) -> None:
    write_bert(tmp_path / "x.gguf", context=64, width=32, pooling=number)
    assert inspect(tmp_path, ["x.gguf"], None) == Facts(
        task="embedding", context=64, licence="mit", pooling=pooling, dimensions=32
    )


@pytest.mark.parametrize("number", [None, 0, 4])
def test_an_embedding_model_that_does_not_is_refused(tmp_path: Path, number: int | None) -> None:
    """Without a word of it, with none, and one that ranks texts."""
    write_bert(tmp_path / "x.gguf", pooling=number)
    with pytest.raises(ConfigurationError, match="does not say how it makes one vector"):
        inspect(tmp_path, ["x.gguf"], None)


def test_a_model_of_another_architecture_embeds_if_it_says_how_it_pools(tmp_path: Path) -> None:
    facts = {"llama.pooling_type": 3, "llama.embedding_length": 1024, "llama.embedding_length_out": 256}
    write_gguf(tmp_path / "x.gguf", numbers=facts)
    found = inspect(tmp_path, ["x.gguf"], None)
    assert (found.task, found.pooling, found.dimensions) == ("embedding", "last", 256)


def test_a_reviewed_template_may_stand_in_for_a_missing_one(tmp_path: Path) -> None:
    write_gguf(tmp_path / "x.gguf", template=None)
    assert inspect(tmp_path, ["x.gguf"], "smollm2").task == "chat"
    with pytest.raises(ConfigurationError, match="There is no chat template '../smollm2'"):
        inspect(tmp_path, ["x.gguf"], "../smollm2")


@pytest.mark.parametrize("content", [b"", b"G", b"\x80\x04pickle", b"GGUF\x03\0\0\0" + b"\xff" * 64])
def test_what_only_bears_the_name_of_a_gguf_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"x\.gguf cannot be read as GGUF"):
        inspect(tmp_path, ["x.gguf"], None)


@pytest.mark.requirement("R17")
def test_every_beginning_of_a_gguf_file_is_refused(tmp_path: Path) -> None:
    whole = write_gguf(tmp_path / "whole.gguf").read_bytes()
    for length in range(1, len(whole) - 4096, 7):
        (tmp_path / f"{length}.gguf").write_bytes(whole[:length])
        with pytest.raises(ConfigurationError, match=rf"{length}\.gguf"):
            inspect(tmp_path, [f"{length}.gguf"], None)


FOLDER = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]


def test_a_folder_of_a_chat_model_is_understood(tmp_path: Path) -> None:
    assert inspect(write_tiny(tmp_path), FOLDER, None) == Facts(task="chat", context=512)


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"architectures": ["WhisperForConditionalGeneration"]}, "no chat model"),
        ({"architectures": []}, "no chat model"),
        ({"max_position_embeddings": None}, "no chat model"),
        ({"max_position_embeddings": 0}, "no chat model"),
        ({"vocab_size": None}, "how many tokens"),
    ],
)
def test_a_folder_of_another_model_is_refused(tmp_path: Path, figures: dict[str, Any], said: str) -> None:
    write_tiny(tmp_path)
    write_json(tmp_path, "config.json", FIGURES | figures)
    with pytest.raises(ConfigurationError, match=said) as refusal:
        inspect(tmp_path, FOLDER, None)
    assert refusal.value.fix


def test_a_folder_without_a_template_needs_one_named(tmp_path: Path) -> None:
    write_tiny(tmp_path, template="")
    with pytest.raises(ConfigurationError, match="The folder has no chat template"):
        inspect(tmp_path, FOLDER, None)
    assert inspect(tmp_path, FOLDER, "smollm2").task == "chat"


def test_a_folder_whose_words_are_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    write_json(tmp_path, "tokenizer.json", {"model": {"type": "Unigram"}})
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json"):
        inspect(tmp_path, FOLDER, None)


def test_another_ctranslate2_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a Whisper model"):
        inspect(write_whisper(tmp_path, spec=b"TransformerSpec"), WHISPER, None)


def test_a_whisper_model_without_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no vocabulary"):
        inspect(write_whisper(tmp_path), ["config.json", "model.bin", "tokenizer.json"], None)
