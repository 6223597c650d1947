"""Deletes what has expired, on time: recordings, rows and what was made of them, then keys; signs for it.

What keeps one thing from being deleted keeps nothing else: it is told at the end, and done later.

Each step may be done again, and notes what it did in the transaction that does it; so whoever comes after one
that was killed goes on. Of all processes over a database one purges at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, NoReturn, TypeVar

import msgspec
from sqlalchemy import Connection

from antiphon.errors import StorageFull, Unavailable
from antiphon.operations.webhook import Webhook
from antiphon.privacy import cuts, purging, receipts
from antiphon.privacy.content import Content, KeyRetired, check_current, opened, put, sealed, unsealed
from antiphon.privacy.days import day_of
from antiphon.privacy.keys import Key, KeyMissing
from antiphon.privacy.places import Missing
from antiphon.privacy.purging import Derived, Moved
from antiphon.privacy.receipts import Body, Signer
from antiphon.privacy.sealing import Unreadable
from antiphon.storage import leases
from antiphon.storage.database import Database
from antiphon.storage.ids import new_id

JOB = "purge"
ALARM = "purge alarm"
LEASE_SECONDS = 300
LATE_SECONDS = 3600
"""What should have been gone for so long is an alarm."""
RECEIPT_SECONDS = 3600
"""What one receipt is about, unless it is asked for earlier."""
GIVE_UP_SECONDS = 1800
"""After this time a retired key that is not here is on no other machine either: whoever has it would have
moved what is under it."""
AGAIN_SECONDS = 6 * 3600
"""Between two alarms."""
_RETRY_SECONDS = 60
_LOOK = 60.0
_SWEEP_SECONDS = 3600
_MOVED_AT_ONCE = 20
_PASSES = 3
"""Over what is to be moved, where it is changed meanwhile; what is left then is moved a minute later."""
_STORAGE_TRIES = 3

T = TypeVar("T")

log = logging.getLogger(__name__)


class Purge:
    """`clock` gives unix seconds; `webhook` is told when it is late, `step` what comes next, by name.

    `beside` deletes what else this machine has of what was erased; it may raise as `look` does.
    """

    def __init__(
        self,
        database: Database,
        content: Content,
        signer: Signer,
        clock: Callable[[], float],
        *,
        webhook: Webhook | None = None,
        derived: Sequence[Derived] = (),
        step: Callable[[str], None] = lambda _: None,
        beside: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._database = database
        self._content = content
        self._signer = signer
        self._clock = clock
        self._webhook = webhook
        self._derived = derived
        self._step = step
        self._beside = beside
        self._holder = new_id("holder_")
        self._swept = 0

    async def run(self) -> NoReturn:
        """Until cancelled. What cannot be done now is tried again; a complaint is logged once."""
        await _again(self.look, "what has expired is not deleted: %s")

    async def watch(self) -> NoReturn:
        """Warn where it is late, until cancelled: beside `run`, which may hang."""
        await _again(self.warn, "it is not known whether content is deleted on time: %s")

    async def look(self, *, sign: bool = False) -> Body | None:
        """Delete what is to be gone now; the receipt, if one was signed: with `sign` at once.

        Raises `Unavailable` if with `sign` another process is at it, or if one has taken over; `OSError`,
        `StorageFull` or `KeyMissing` for what could not be deleted or moved, after all else was.
        """
        body: Body | None = None
        failed: Exception | None = None
        try:
            body, failed = await self._deleted(sign)
        except Exception as found:  # whatever it is: the sweep needs nothing of it
            failed = found
        try:
            if self._beside is not None:
                await self._beside()
        except Exception as found:
            failed = failed or found
        swept = await self._sweep(now=sign)
        if problem := failed or swept:
            raise problem
        return body

    async def late(self) -> int:
        """For how many seconds something should have been gone that is not."""
        async with self._database.connect() as connection:
            return await connection.run_sync(partial(purging.late, now=self._now))

    async def warn(self) -> None:
        """Raise an alarm if the purge is late: in the log, and with the webhook, once for all machines."""
        late = await self.late()
        if late <= LATE_SECONDS:
            return
        now = self._now
        mine = partial(leases.take, job=ALARM, holder=new_id("holder_"), seconds=AGAIN_SECONDS, now=now)
        if not await self._database.run(mine):
            return
        log.error("content that should be gone for %d seconds is still there", late)
        if self._webhook is None:
            return
        told = {"type": "data.purge.late", "timestamp": now, "data": {"seconds": late}}
        failure = await self._webhook.post(new_id("msg_"), now, msgspec.json.encode(told))
        if failure:
            log.error("the webhook was not told that the purge is late: %s", failure)
            await self._database.run(lambda c: leases.end_at(c, ALARM, now + _RETRY_SECONDS))

    @property
    def _now(self) -> int:
        return int(self._clock())

    def _take(self, connection: Connection) -> bool:
        return leases.take(connection, JOB, self._holder, LEASE_SECONDS, self._now)

    async def _run(self, work: Callable[[Connection], T]) -> T:
        """A transaction that is done only as long as nobody else has taken over."""

        def held(connection: Connection) -> T:
            if not self._take(connection):
                raise Unavailable("Another process has taken over the purge.")
            return work(connection)

        return await self._database.run(held)

    async def _deleted(self, sign: bool) -> tuple[Body | None, Exception | None]:
        """The receipt, if one was signed, and what could not be deleted or moved, though all else was."""
        if not await self._database.run(self._take):
            if sign:
                raise Unavailable("Another process is purging.", retry_after=LEASE_SECONDS)
            return None, None
        try:
            await self._cut()
            problem: Exception | None = await self._rows()
            await self._keys()
            anything, kept = await self._move()
            if anything:
                await self._keys()
            self._step("sign")
            closing = partial(receipts.close, signer=self._signer, now=self._now)
            body = await self._run(partial(closing, older_than=0 if sign else RECEIPT_SECONDS))
        finally:
            await self._database.run(lambda c: leases.give_back(c, JOB, self._holder))
        if body is not None:
            log.info("the receipt %s was signed: %d kinds of deletion", body.id, len(body.deleted))
        return body, problem or kept

    async def _sweep(self, *, now: bool) -> OSError | None:
        """Delete recordings of past days that no row speaks of, on this machine, whoever purges."""
        if now or self._now - self._swept >= _SWEEP_SECONDS:
            self._step("sweep")
            try:
                await asyncio.to_thread(self._content.place.sweep, day_of(self._now))
            except OSError as problem:
                return problem
            self._swept = self._now
        return None

    async def _cut(self) -> None:
        """Have expire what is noted to, some rows at a time."""
        while True:
            self._step("cut")
            if not await self._run(partial(cuts.step, now=self._now)):
                return

    async def _rows(self) -> OSError | None:
        """Delete rows, recordings first: it is the rows that know what these are called. What kept some from
        being deleted, which must not keep anything else."""
        problem: OSError | None = None
        while True:
            expired = partial(purging.expired, now=self._now, without=problem is not None)
            async with self._database.connect() as connection:
                rows = await connection.run_sync(expired)
            if not rows:
                return problem
            if problem is None:
                self._step("recordings")
                problem = await self._unrecorded(row.recording for row in rows)
                if problem is not None:
                    continue
            self._step("rows")
            ids = [row.id for row in rows]
            await self._run(partial(purging.delete_rows, ids=ids, derived=self._derived, now=self._now))

    async def _unrecorded(self, names: Iterable[str | None]) -> OSError | None:
        """Delete recordings; why that was not possible."""
        try:
            await asyncio.to_thread(self._content.place.delete, [name for name in names if name])
        except OSError as problem:
            return problem
        return None

    async def _move(self) -> tuple[bool, Exception | None]:
        """Move what stays behind under retired keys to others, so that these can be destroyed; whether there
        was anything, and what kept some from being moved, which must not keep anything else."""
        anything, problems = False, _Problems()
        for _ in range(_PASSES):
            after, changed = "", False
            while rows := await self._left(after):
                after, anything = rows[-1].id, True
                self._step("move")
                moved, lost = await self._tried(rows, problems)
                self._step("moved")
                changed |= not await self._written(rows, moved, problems)
                if lost:
                    await self._give_up(lost)
            if not changed:
                break
        return anything, problems.first

    async def _left(self, after: str) -> list[Any]:
        query = partial(purging.left_under_retired, now=self._now, after=after, most=_MOVED_AT_ONCE)
        async with self._database.connect() as connection:
            return await connection.run_sync(query)

    async def _tried(self, rows: Sequence[Any], problems: _Problems) -> tuple[list[Moved], list[Any]]:
        """Rows as they are to be, and those that nobody can read any more."""
        keys = self._content.keys
        known = await keys.there({row.sealed_with for row in rows})
        moved, lost = [], []
        for row in rows:
            before = known.get(row.sealed_with)
            if before is None and (row.retired_at or 0) <= self._now - GIVE_UP_SECONDS:
                lost.append(row)
            elif before is None:
                problems.add(KeyMissing([row.sealed_with]))
            elif row.recording is None or not problems.away:
                try:
                    key = await keys.current(row.organization_id, day_of(row.expires_at))
                    moved.append(await asyncio.to_thread(self._moved, row, before, key))
                    problems.fine(row)
                except Unreadable:
                    lost.append(row)
                except (OSError, StorageFull, KeyMissing) as problem:
                    problems.add(problem)
        return moved, lost

    def _moved(self, row: Any, before: Key, key: Key) -> Moved:
        kept = opened(row, before)
        columns = sealed(kept, key)
        if row.recording is not None:
            place = self._content.place
            try:
                name = put(place, row.organization_id, row.id, key, unsealed(place, row, before))
            except (Missing, Unreadable):
                log.warning("the recording of %s is on another machine or damaged, and is given up", row.id)
                name = None
            columns["recording"] = name
        return Moved(row, columns)

    async def _written(self, rows: Sequence[Any], moved: Sequence[Moved], problems: _Problems) -> bool:
        """Whether all were written: none was changed meanwhile, nor a key retired."""
        done: list[str] = []
        try:
            done = await self._run(partial(_write_moved, moved=moved))
        except KeyRetired as problem:  # meanwhile: they are moved to yet another one
            self._content.keys.forget(problem.ids)
        self._step("leave")
        left = [row.recording for row in rows if row.id in done]
        left += [one.columns.get("recording") for one in moved if one.before.id not in done]
        if left_there := await self._unrecorded(left):
            problems.add(left_there)
        return len(done) == len(moved)

    async def _give_up(self, lost: Sequence[Any]) -> None:
        """Delete what can be read by nobody any more; recordings that cannot be deleted now are swept."""
        log.error("%d requests can be read by nobody any more, and are given up", len(lost))
        await self._unrecorded(row.recording for row in lost)
        ids = [row.id for row in lost]
        await self._run(partial(purging.give_up, ids=ids, derived=self._derived, now=self._now))

    async def _keys(self) -> None:
        now = self._now
        self._step("names")
        await self._run(partial(purging.end_keys, now=now))
        past = await self._content.keys.past(day_of(now))
        if past:
            await self._run(partial(purging.end_nameless, ids=past, now=now))
        async with self._database.connect() as connection:
            ids = await connection.run_sync(purging.ended)
        if ids:
            self._step("keys")
            await self._content.keys.destroy(ids)
            self._step("destroyed")
            await self._run(partial(purging.destroyed, ids=ids))
        self._content.keys.forget(before=day_of(now))


def _write_moved(connection: Connection, moved: Sequence[Moved]) -> list[str]:
    check_current(connection, {one.columns["sealed_with"] for one in moved})
    return purging.move_rows(connection, moved)


class _Problems:
    """What kept rows from being moved. After a few failures in a row storage is `away`, and is not tried."""

    def __init__(self) -> None:
        self.first: Exception | None = None
        self._in_a_row = 0

    @property
    def away(self) -> bool:
        return self._in_a_row >= _STORAGE_TRIES

    def add(self, problem: Exception) -> None:
        self.first = self.first or problem
        self._in_a_row += not isinstance(problem, KeyMissing)

    def fine(self, row: Any) -> None:
        if row.recording is not None:
            self._in_a_row = 0


async def _again(work: Callable[[], Awaitable[object]], told: str) -> NoReturn:
    """Do it every minute, until cancelled; one complaint is logged once."""
    complaint = ""
    while True:
        try:
            await work()
            complaint = ""
        except Exception as problem:  # whatever it is: nobody else does it
            found = str(problem) or type(problem).__name__
            if found != complaint:
                complaint = found
                log.error(told, found)
        await asyncio.sleep(_LOOK)
