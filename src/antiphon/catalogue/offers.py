"""What stands at a place that somebody names: which of its files make a model, and what is said of it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from stat import S_ISDIR

import msgspec

from antiphon.catalogue import hub
from antiphon.catalogue.entries import Found, PathSource, Source
from antiphon.errors import ConfigurationError

_HUB = re.compile(r"\Ahf:(?P<repo>[\w.-]+/[\w.-]+)(?:/(?P<file>[^@]+))?(?:@(?P<revision>[\w./-]+))?\Z")
_FOLDER = {"config.json", "tokenizer.json", "tokenizer_config.json"}
_FOLDER_TOO = {"generation_config.json", "chat_template.jinja"}
_WEIGHTS = re.compile(r"\Amodel(?:-[0-9]{5}-of-[0-9]{5})?\.safetensors\Z")
_WHISPER = {"config.json", "model.bin", "tokenizer.json"}
_WHISPER_TOO = {"vocabulary.json", "vocabulary.txt", "preprocessor_config.json"}
_NAMES_SHOWN = 20


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A model that could be taken."""

    source: Source
    files: list[Found]
    released: date
    owned_by: str
    licence: str


def offer(place: str) -> Offer:
    """Look at `hf:ORG/REPO[/FILE.gguf][@REVISION]`, a GGUF file, or a folder; nothing is copied.

    Raises `ConfigurationError` if there is no model, or more than one.
    """
    return _on_hub(place) if place.startswith("hf:") else _on_disk(Path(place).expanduser().absolute())


def _on_hub(place: str) -> Offer:
    named = _HUB.match(place)
    if not named:
        raise ConfigurationError(
            f"'{place}' is no place on the hub", fix="name it as hf:ORG/REPO[/FILE.gguf][@REVISION]"
        )
    repository = hub.describe(named["repo"], named["revision"] or "main")
    offered = {file.path: file for file in repository.files}
    chosen = [offered[path] for path in _choose(place, list(offered), named["file"])]
    return Offer(
        source=repository.source,
        files=[_found(file.path, file.size, file.sha256) for file in chosen],
        released=repository.modified,
        owned_by=named["repo"].partition("/")[0],
        licence=repository.licence,
    )


def _on_disk(path: Path) -> Offer:
    try:
        if S_ISDIR(path.stat().st_mode):
            folder, names = path, _choose(str(path), sorted(p.name for p in path.iterdir()), None)
        else:
            folder, names = path.parent, _choose(str(path), [path.name], path.name)
        facts = [(folder / name).stat() for name in names]
    except OSError as problem:
        raise ConfigurationError(
            f"{path} cannot be read: {problem.strerror}",
            fix="name a snapshot (antiphon models list), hf:ORG/REPO, or a path",
        ) from None
    return Offer(
        source=PathSource(path=str(folder)),
        files=[_found(name, fact.st_size, None) for name, fact in zip(names, facts, strict=True)],
        released=datetime.fromtimestamp(max(fact.st_mtime for fact in facts), UTC).date(),
        owned_by="local",
        licence="unknown",
    )


def _choose(place: str, offered: list[str], wanted: str | None) -> list[str]:
    """The file asked for, a CTranslate2 Whisper model, the only GGUF file there is, or a chat model's folder.

    A GGUF file can be named and a folder cannot: where there are several and a folder, it is the folder.
    """
    ggufs = [path for path in offered if path.endswith(".gguf")]
    if wanted is not None:
        if wanted in ggufs:
            return [wanted]
        raise ConfigurationError(f"{place} is not a GGUF file", fix=_advice(ggufs))
    if set(offered) >= _WHISPER:
        return [path for path in offered if path in _WHISPER | _WHISPER_TOO]
    if len(ggufs) == 1:
        return ggufs
    weights = [path for path in offered if _WEIGHTS.match(path)]
    if weights and set(offered) >= _FOLDER:
        _refuse_parts(place, weights)
        return [path for path in offered if path in _FOLDER | _FOLDER_TOO] + weights
    found = f"{len(ggufs)} GGUF files" if ggufs else "neither a GGUF file nor a model's folder"
    raise ConfigurationError(f"{place} holds {found}", fix=_advice(ggufs))


def _refuse_parts(place: str, weights: list[str]) -> None:
    """Raise `ConfigurationError` unless these are all the parts of one model, or one file."""
    number = len(weights)
    whole = [f"model-{part:05d}-of-{number:05d}.safetensors" for part in range(1, number + 1)]
    if sorted(weights) not in (["model.safetensors"], whole):
        raise ConfigurationError(
            f"{place} does not hold all parts of one model", fix="bring the parts that are missing"
        )


def _advice(ggufs: list[str]) -> str:
    if not ggufs:
        return (
            "only GGUF files, folders with config.json, tokenizer.json, tokenizer_config.json and "
            "model.safetensors, and CTranslate2 Whisper folders can be served"
        )
    return f"name one of them: {', '.join(ggufs[:_NAMES_SHOWN])}"


def _found(path: str, size: int, sha256: str | None) -> Found:
    name = PurePosixPath(path).name
    try:
        return msgspec.convert(
            {"name": name, "size": size, "sha256": sha256, "parts": () if name == path else (path,)}, Found
        )
    except msgspec.ValidationError as problem:
        raise ConfigurationError(
            f"'{path}' cannot be taken: {problem}", fix="rename it, and pull it from a path"
        ) from None
