"""One epoch of this process: its journal, its allowances, and the tasks that keep both moving."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from antiphon.errors import AntiphonError
from antiphon.ledger import epochs
from antiphon.ledger.allowances import Allowances
from antiphon.ledger.books import Books
from antiphon.ledger.budgets import LOOK_SECONDS, Budgets
from antiphon.ledger.journal import Journal
from antiphon.ledger.store import Store

POST_SECONDS = 0.2
"""Longest wait of a durable record before it is moved into the database."""
LATE_SECONDS = 1.0
"""Between two tries to record ends that the disk had no space for."""
AWAY_SECONDS = 0.5
"""Wait before something that failed is tried again."""
FINISH_SECONDS = 5.0
"""Longest wait at the end for what is still open or unposted."""

_log = logging.getLogger(__name__)


class Open(Protocol):
    """A bill that has not ended."""

    def finish(self) -> None:
        """Try to record its end."""


class Life:
    """Run it with `start`, end it with `finish`. `clock` gives times that are billed."""

    def __init__(
        self,
        store: Store,
        epoch_id: str,
        journal: Journal,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.id, self.journal = epoch_id, journal
        self.allowances = Allowances()
        self._store, self._clock = store, clock
        self._books = Books(store, epoch_id, journal, self.allowances, clock)
        self.budgets = Budgets(self.allowances, self._books, monotonic)
        self._bills: set[Open] = set()
        self._late: list[Open] = []
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        loops = (
            self.journal.write(),
            repeat(self._post, POST_SECONDS),
            repeat(self._catch_up, LATE_SECONDS),
            repeat(self.budgets.look, LOOK_SECONDS),
        )
        self._tasks = [asyncio.create_task(loop) for loop in loops]

    def begun(self, bill: Open) -> None:
        self._bills.add(bill)

    def ended(self, bill: Open) -> None:
        self._bills.discard(bill)
        self._changed.set()

    def try_later(self, bill: Open) -> None:
        """The end of `bill` could not be recorded."""
        self._late.append(bill)
        self._changed.set()

    async def finish(self, patience: float | None = FINISH_SECONDS) -> None:
        """Wait for open bills, move everything into the database, return the allowances, and end.

        Bills whose journal has failed can never end: closing the epoch makes them void.
        What cannot be moved within `patience` seconds (None: as long as it takes) stays in the journal, for
        the next process that starts here.
        """
        moved = False
        self._tasks.pop().cancel()
        await self.budgets.close()
        try:
            async with asyncio.timeout(patience):
                while not self.journal.idle or (self._bills and not self.journal.failed):
                    self._changed.clear()
                    await self._changed.wait()
                await self._stop()
                await self._store.run(epochs.close, self.id, None, int(self._clock()))
            moved = True
        except (AntiphonError, TimeoutError) as problem:
            _log.warning(
                "the journal of %s is left for the next start: %s", self.id, str(problem) or "timeout"
            )
        finally:
            await self._stop()
            await self._let_go(moved)

    async def _let_go(self, moved: bool) -> None:
        try:
            await (self.journal.drop() if moved else self.journal.leave())
        except (OSError, TimeoutError) as problem:
            _log.warning(
                "the journal of %s is held until the end: %s", self.id, str(problem) or "the disk hangs"
            )

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.journal.close()

    async def _post(self) -> None:
        await self.journal.some()
        # A batch that is not full was all there is: what comes now waits for company. A transaction costs
        # as much as many records.
        while self.journal.waiting:
            full = await self._books.post()
            self._changed.set()
            if not full:
                return

    async def _catch_up(self) -> None:
        late, self._late = self._late, []
        if not self.journal.failed:
            for bill in late:
                bill.finish()


async def repeat(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Call `work` again and again, `seconds` after it ended; a failure is logged, and tried again later."""
    failing = False
    while True:
        try:
            await work()
            failing = False
        except Exception as problem:
            if not failing:
                known = isinstance(problem, AntiphonError | TimeoutError | OSError)
                _log.warning("%s: %s", work.__qualname__, str(problem) or "timeout", exc_info=not known)
            failing = True
        await asyncio.sleep(AWAY_SECONDS if failing else seconds)
