"""How much memory an engine may hold while it has nothing to do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from antiphon.runtime.base import Process
from antiphon.values import Deployment

MIB = 2**20


async def allowed(process: Process, deployments: Iterable[Deployment], beyond: int) -> int | None:
    """Bytes for an engine that has just become ready: those it has, its models' size, and so many `beyond`.

    Its models, since it may not have read them all yet. None: as many as it likes, for 0 beyond, and for what
    cannot be measured.
    """
    if not beyond or (held := await process.memory()) is None:
        return None
    paths = {path for one in deployments for path in (one.model, one.prepared) if path is not None}
    return held + beyond + sum(await asyncio.gather(*(asyncio.to_thread(size, path) for path in paths)))


async def too_much(process: Process, most: int | None) -> str:
    """In a few words what it holds beyond what it may; nothing if it does not."""
    if most is None or (held := await process.memory()) is None or held <= most:
        return ""
    return f"holds {held // MIB} MiB with nothing to do, where {most // MIB} MiB are enough"


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; 0 for what cannot be looked at."""
    with suppress(OSError):
        files = path.rglob("*") if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files if file.is_file())
    return 0
