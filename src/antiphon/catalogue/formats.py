"""What model files say of themselves, read before they are taken into the catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from antiphon.engines import gguf
from antiphon.engines.template import reviewed
from antiphon.errors import ConfigurationError
from antiphon.tokens import folder as folders
from antiphon.values import Pooling, Task

_HEADER_BYTES = 64
_CHATS, _SHOWN = "ForCausalLM", 80
"""How architectures of chat models end on the hub; characters of one that are told."""
_ENCODER = re.compile(r"bert\b|\Agemma-embedding\Z|\Allama-embed\Z")
"""GGUF's names of architectures that only embed: bert, nomic-bert, jina-bert-v2, modern-bert and others."""
_POOLINGS: dict[object, Pooling] = {1: "mean", 2: "cls", 3: "last"}
"""In GGUF's numbers; 4 is of models that rank texts."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """`context` is what a model was trained to read, in tokens; `licence` only if the file states it.

    `pooling` and `dimensions`, the length of its vectors, are an embedding model's.
    """

    task: Task
    context: int = 0
    licence: str | None = None
    pooling: Pooling | None = None
    dimensions: int = 0


def inspect(folder: Path, names: Sequence[str], template: str | None) -> Facts:
    """Read the model made of the files `names` in `folder`; `ConfigurationError` if it cannot be served.

    `template` names a reviewed chat template, for a chat model without its own.
    """
    ggufs = [name for name in names if name.endswith(".gguf")]
    if ggufs:
        return _gguf(folder / ggufs[0], template)
    return _hugging_face(folder, template) if folders.TOKENIZER_CONFIG in names else _whisper(folder, names)


def _gguf(path: Path, template: str | None) -> Facts:
    try:
        fields = gguf.metadata(path, _telling)
    except (OSError, ValueError) as problem:
        raise ConfigurationError(
            f"{path.name} cannot be read as GGUF: {problem}",
            fix="pull it again, or another file",
        ) from None
    architecture = str(fields.get("general.architecture"))
    context = fields.get(f"{architecture}.context_length")
    if fields.get("general.type", "model") != "model" or not isinstance(context, int) or context < 1:
        raise ConfigurationError(f"{path.name} is not a language model", fix="pull the model's own file")
    parts = fields.get("split.count")
    if isinstance(parts, int) and parts > 1:
        raise ConfigurationError(
            f"{path.name} is one part of a split model", fix="merge it with llama-gguf-split"
        )
    stated = fields.get("general.license")
    licence = stated if isinstance(stated, str) else None
    if f"{architecture}.pooling_type" in fields or _ENCODER.search(architecture):
        return _embedding(path.name, architecture, fields, context, licence)
    _check_template(path.name, template, bool(fields.get("tokenizer.chat_template")))
    return Facts(task="chat", context=context, licence=licence)


def _embedding(
    name: str, architecture: str, fields: Mapping[str, Any], context: int, licence: str | None
) -> Facts:
    """An embedding model that says how long its vectors are and how it makes one of those of all tokens."""
    pooling = _POOLINGS.get(fields.get(f"{architecture}.pooling_type"))
    length = fields.get(
        f"{architecture}.embedding_length_out", fields.get(f"{architecture}.embedding_length")
    )
    if pooling is None or not isinstance(length, int) or length < 1:
        raise ConfigurationError(
            f"{name} does not say how it makes one vector of a text",
            fix="pull one that does (mean, first or last token); models that rank texts are not served",
        )
    return Facts(task="embedding", context=context, licence=licence, pooling=pooling, dimensions=length)


def _telling(name: str) -> bool:
    """The vocabulary has hundreds of thousands of values and says nothing here."""
    return not name.startswith("tokenizer.") or name == "tokenizer.chat_template"


def _hugging_face(folder: Path, template: str | None) -> Facts:
    from antiphon.tokens.encoder import Encoder, of_folder  # slow to import, and rarely needed

    try:
        config, facts = folders.document(folder / folders.CONFIG), folders.read(folder)
        Encoder(*of_folder(folder, facts))
    except (OSError, ValueError) as problem:
        raise ConfigurationError(
            f"The folder cannot be served: {problem}", fix="pull it again, or another model"
        ) from None
    context, kinds = config.get("max_position_embeddings"), config.get("architectures")
    kind = str(kinds[0]) if isinstance(kinds, list) and kinds else "unknown"
    if not kind.endswith(_CHATS) or not isinstance(context, int) or context < 1:
        raise ConfigurationError(
            f"The folder holds no chat model, but one of the kind {kind[:_SHOWN]!a}", fix="pull another model"
        )
    _check_template("The folder", template, bool(facts.template))
    return Facts(task="chat", context=context)


def _check_template(model: str, name: str | None, has_one: bool) -> None:
    """Raise `ConfigurationError` for a model without a chat template, and for one that does not exist."""
    if name is None:
        if not has_one:
            raise ConfigurationError(
                f"{model} has no chat template", fix="take an instruct model, or name one with --template"
            )
        return
    try:
        reviewed(name)
    except KeyError:
        raise ConfigurationError(
            f"There is no chat template '{name}'", fix="name one that ships with Antiphon, such as smollm2"
        ) from None


def _whisper(folder: Path, names: Sequence[str]) -> Facts:
    with (folder / "model.bin").open("rb") as model:
        header = model.read(_HEADER_BYTES)
    if b"WhisperSpec" not in header:
        raise ConfigurationError(
            "model.bin is not a Whisper model of CTranslate2",
            fix="convert it with ct2-transformers-converter",
        )
    if not any(name.startswith("vocabulary.") for name in names):
        raise ConfigurationError("The model has no vocabulary file", fix="add its vocabulary.json")
    return Facts(task="speech")
