"""Whether what an operator wants of names and snapshots can be: before anything is announced."""

from __future__ import annotations

from antiphon.catalogue.catalogue import Catalogue
from antiphon.catalogue.entries import Entry
from antiphon.errors import ConfigurationError


def fitting(catalogue: Catalogue, alias: str, snapshot: str) -> Entry:
    """The snapshot, if the alias may mean it. Raises `ConfigurationError`."""
    require_alias(catalogue, alias)
    entry = known(catalogue, snapshot)
    if snapshot in catalogue.ended:
        raise ConfigurationError(f"'{snapshot}' ended on {entry.shutdown}", fix="choose another")
    if snapshot not in catalogue.installed:
        raise ConfigurationError(f"'{snapshot}' is not installed", fix=f"antiphon models pull {snapshot}")
    meant = catalogue.entries[catalogue.past(alias)[-1].snapshot]
    if entry.task != meant.task:
        raise ConfigurationError(
            f"'{alias}' is for {meant.task}, and '{snapshot}' is for {entry.task}", fix="choose another"
        )
    return entry


def require_replacement(catalogue: Catalogue, snapshot: str, replacement: str) -> None:
    """Raises `ConfigurationError` if the users of a snapshot could not use this instead."""
    if replacement not in {*catalogue.entries, *catalogue.aliases} - {snapshot}:
        raise ConfigurationError(f"There is no other model '{replacement}'", fix="see antiphon models list")
    id = catalogue.meaning(replacement) if replacement in catalogue.aliases else replacement
    if id == snapshot:
        raise ConfigurationError(f"'{replacement}' means '{snapshot}' itself", fix="name another model")
    if id not in catalogue.installed:
        raise ConfigurationError(f"'{id}' is not installed", fix=f"antiphon models pull {id}")
    task, other = catalogue.entries[snapshot].task, catalogue.entries[id].task
    if task != other:
        raise ConfigurationError(
            f"'{snapshot}' is for {task}, and '{replacement}' is for {other}", fix="name another model"
        )


def require_alias(catalogue: Catalogue, alias: str) -> None:
    """Raises `ConfigurationError` for one that there is not."""
    if alias not in catalogue.aliases:
        raise ConfigurationError(f"There is no alias '{alias}'", fix="see antiphon models list")


def known(catalogue: Catalogue, snapshot: str) -> Entry:
    """Raises `ConfigurationError` for one that there is not."""
    entry = catalogue.entries.get(snapshot)
    if entry is None:
        raise ConfigurationError(f"There is no snapshot '{snapshot}'", fix="see antiphon models list")
    return entry
