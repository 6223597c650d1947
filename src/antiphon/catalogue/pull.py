"""Taking a model into the catalogue, from the hub or a path, under a name of the operator's choice.

The files are brought first, then read to see what they are, and only then written into
`ANTIPHON_HOME/models.toml` with their sha256: from there on it is a snapshot like any other.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import msgspec

from antiphon.catalogue.additions import append, tables
from antiphon.catalogue.catalogue import build
from antiphon.catalogue.document import FILE_NAME, parsed, read
from antiphon.catalogue.entries import Alias, AliasName, Entry, SnapshotId, format_of
from antiphon.catalogue.formats import Facts, inspect
from antiphon.catalogue.offers import Offer, offer
from antiphon.catalogue.store import ModelStore, Progress, silent
from antiphon.errors import ConfigurationError
from antiphon.values import Format, Task

_ENGINES: dict[tuple[Task, Format], str | tuple[str, ...]] = {
    ("chat", "gguf"): ("openvino", "llama"),
    ("chat", "safetensors"): ("vllm", "openvino"),
    ("speech", "ctranslate2"): "speech",
    ("embedding", "gguf"): "llama_embeddings",
}
_SLOTS: dict[tuple[Task, Format], int | dict[str, int]] = {
    ("chat", "gguf"): {"openvino": 32, "llama": 4},
    ("chat", "safetensors"): {"vllm": 128, "openvino": 32},
    ("speech", "ctranslate2"): 32,
    ("embedding", "gguf"): 8,
}
_CONTEXT: dict[Task, int] = {"chat": 8192, "speech": 0, "embedding": 2048}
"""Tokens of context at first, if the model has more; the operator may raise it. Memory grows with it, and of
embeddings the longest step, during which no probe is answered."""


def pull(
    home: Path,
    place: str,
    name: str,
    *,
    alias: str | None = None,
    template: str | None = None,
    progress: Progress = silent,
) -> Entry:
    """Bring the model at `place` (see `offers.offer`) and write it into models.toml as the snapshot `name`.

    `alias` is a further name for it, `template` a reviewed chat template to use instead of its own. Raises
    `ConfigurationError`, and then the catalogue is as it was; files that were brought stay for another try.
    """
    store = ModelStore(home)
    _check_names(home, store, name, alias)
    offered = offer(place)
    files = store.adopt(name, offered.source, offered.files, progress)
    try:
        facts = inspect(home / "models" / name, [file.name for file in files], template)
        kind = facts.task, format_of(files)
        entry = Entry(
            id=name,
            task=facts.task,
            engine=_ENGINES[kind],
            owned_by=offered.owned_by,
            licence=_licence(offered, facts),
            released=offered.released,
            context=min(facts.context, _CONTEXT[facts.task]),
            slots=_SLOTS[kind],
            template=template if facts.task == "chat" else None,
            pooling=facts.pooling,
            dimensions=(facts.dimensions,) if facts.dimensions else (),
            serve=True,
            source=offered.source,
            files=files,
        )
        append(home / FILE_NAME, _toml(entry, alias), store)
    except ConfigurationError as problem:
        kept = f"the files stay for another try, `antiphon models remove {name}` deletes them"
        raise ConfigurationError(problem.message, fix=f"{problem.fix}; {kept}") from None
    return entry


def _licence(offered: Offer, facts: Facts) -> str:
    return facts.licence if facts.licence and offered.licence == "unknown" else offered.licence


def _check_names(home: Path, store: ModelStore, name: str, alias: str | None) -> None:
    """Could these names be written into models.toml? Asked before anything is downloaded."""
    for kind, text in ((SnapshotId, name), (AliasName, alias or name)):
        try:
            msgspec.convert(text, kind)
        except msgspec.ValidationError:
            raise ConfigurationError(
                f"'{text}' cannot be a name", fix="use letters, digits, '.', '_' and '-'"
            ) from None
    path = home / FILE_NAME
    text = read(path)
    written = parsed(path, text)
    catalogue = build(path, text, store)
    if name in catalogue.entries or name in catalogue.aliases:
        raise ConfigurationError(
            f"There is a model '{name}' already, and a snapshot never changes",
            fix="choose another --name, with a date for instance",
        )
    if alias in catalogue.entries or alias in written.get("aliases", {}) or alias == name:
        raise ConfigurationError(
            f"The name '{alias}' is taken", fix=f"choose another --alias, or edit {path}"
        )


def _toml(entry: Entry, alias: str | None) -> str:
    id = json.dumps(entry.id)
    fields = msgspec.to_builtins(entry, builtin_types=(date,))
    found = [(f"[snapshots.{id}]", fields)]
    found += [(f"[[snapshots.{id}.files]]", file) for file in fields.pop("files")]
    del fields["id"]
    if alias is not None:
        found.append((f"[aliases.{json.dumps(alias)}]", msgspec.to_builtins(Alias(snapshot=entry.id))))
    return tables(found)
