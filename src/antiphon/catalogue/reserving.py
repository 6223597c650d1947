"""What is reserved for an instance: what an engine takes, and all that may be in its cache at once."""

from __future__ import annotations

from msgspec.structs import replace

from antiphon import engines
from antiphon.catalogue import launching
from antiphon.catalogue.entries import Entry
from antiphon.catalogue.store import ModelStore
from antiphon.engines.cache import bytes_per_token
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings
from antiphon.values import Capacity


def reserved(
    entry: Entry, engine: str, context: int, load: int, store: ModelStore, settings: Settings
) -> Capacity:
    """What each replica of such a size takes of a machine. Reads the disk.

    An engine on accelerators has its cache there: nothing is added to what its snapshot says that it needs.
    """
    needs = entry.reserved
    if needs.gpus or not context:
        return needs
    try:
        sized = launching.sized(entry, engine, context, load, store, settings)
    except ConfigurationError:  # it cannot run as this machine has it: another may have more
        return needs
    tokens = engines.kinds()[sized.engine].cache(sized) or context * load
    said = entry.dedicated.bytes_per_token if entry.dedicated else None
    each = bytes_per_token(sized.model) if said is None else said
    return replace(needs, memory=needs.memory + tokens * each)
