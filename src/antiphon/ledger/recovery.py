"""Moves the journals of processes that died into the database, and closes their epochs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from antiphon.ledger import epochs, posting
from antiphon.ledger.books import BATCH
from antiphon.ledger.disk import Disk, Run
from antiphon.ledger.journal import LEAVE_SECONDS
from antiphon.ledger.records import Record, decode
from antiphon.ledger.store import Store

_log = logging.getLogger(__name__)

RECOVERY_SECONDS = 60.0
"""Longest wait for one journal to be moved."""


async def recover(store: Store, disk: Disk, run: Run, clock: Callable[[], float]) -> int:
    """Move every journal on `disk` whose folder nobody holds; the number of those.

    A journal that could not be moved stays, and does not keep the others from it: its problem is raised at
    the end, of several the first. That is `Unavailable`, `StorageFull`, `TimeoutError` or `OSError`,
    `ConfigurationError` for a journal of another database, or what decoding says of one it cannot read.
    """
    moved = 0
    problems: list[Exception] = []
    for folder in await run(disk.folders):
        if await run(partial(disk.lock, folder)):
            try:
                await _recover_one(store, disk, run, folder, clock)
                moved += 1
            except Exception as problem:
                problems.append(problem)
    if problems:
        raise problems[0]
    return moved


async def _recover_one(store: Store, disk: Disk, run: Run, folder: str, clock: Callable[[], float]) -> None:
    done = False
    try:
        async with asyncio.timeout(RECOVERY_SECONDS):
            await _move(store, await run(partial(_records, disk, folder)), folder, clock)
        done = True
    finally:
        async with asyncio.timeout(LEAVE_SECONDS):
            await run(partial(disk.drop if done else disk.release, folder))


async def _move(store: Store, records: list[Record], epoch_id: str, clock: Callable[[], float]) -> None:
    now = int(clock())
    for start in range(0, len(records), BATCH):
        await store.run(posting.post, epoch_id, records[start : start + BATCH], now)
    voided = await store.run(epochs.close, epoch_id, None, now)
    _log.warning("%s had died: %d records moved, %d requests voided", epoch_id, len(records), voided)


def _records(disk: Disk, folder: str) -> list[Record]:
    """All that is whole, in order; runs where blocking is allowed.

    Nothing after a torn record counts, were there any: it was not acknowledged either.
    """
    found: list[Record] = []
    for name in disk.files(folder):
        for record in decode(disk.read(folder, name)):
            if found and record.seq != found[-1].seq + 1:
                _log.error("the journal of %s lacks records after number %d", folder, found[-1].seq)
                return found
            found.append(record)
    return found
