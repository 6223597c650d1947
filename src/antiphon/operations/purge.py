"""Deletes what has expired, on time: recordings, rows and what was made of them, then keys; signs for it.

Each step may be done again, and notes what it did in the transaction that does it; so whoever comes after one
that was killed goes on. Of all processes over a database one purges at a time.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn, TypeVar

import msgspec
from sqlalchemy import Connection

from antiphon.errors import Unavailable
from antiphon.operations.webhook import Webhook
from antiphon.privacy import cuts, purging, receipts
from antiphon.privacy.content import Content, KeyRetired, check_current, opened, put, sealed, unsealed
from antiphon.privacy.days import day_of
from antiphon.privacy.keys import Key
from antiphon.privacy.places import Missing
from antiphon.privacy.purging import Derived, Moved
from antiphon.privacy.receipts import Body, Signer
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
AGAIN_SECONDS = 6 * 3600
"""Between two alarms."""
_RETRY_SECONDS = 60
_LOOK = 60.0
_SWEEP_SECONDS = 3600
_MOVED_AT_ONCE = 20

T = TypeVar("T")

log = logging.getLogger(__name__)


class Purge:
    """`clock` gives unix seconds; `webhook` is told when it is late, `step` what comes next, by name."""

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
    ) -> None:
        self._database = database
        self._content = content
        self._signer = signer
        self._clock = clock
        self._webhook = webhook
        self._derived = derived
        self._step = step
        self._holder = new_id("holder_")
        self._swept = 0

    async def run(self) -> NoReturn:
        """Until cancelled. What cannot be done now is tried again; a complaint is logged once."""
        complaint = ""
        while True:
            try:
                await self.warn()
                await self.look()
                complaint = ""
            except Exception as problem:  # whatever it is: nobody else deletes
                told = str(problem) or type(problem).__name__
                if told != complaint:
                    complaint = told
                    log.error("what has expired is not deleted: %s", told)
            await asyncio.sleep(_LOOK)

    async def look(self, *, sign: bool = False) -> Body | None:
        """Delete what is to be gone now; the receipt, if one was signed: with `sign` at once.

        Raises `Unavailable` if with `sign` another process is at it, or if one has taken over, and `OSError`
        where recordings could not be deleted.
        """
        await self._sweep(now=sign)
        if not await self._database.run(self._take):
            if sign:
                raise Unavailable("Another process is purging.", retry_after=LEASE_SECONDS)
            return None
        try:
            await self._cut()
            problem = await self._rows()
            await self._keys()
            if await self._move():
                await self._keys()
            self._step("sign")
            closing = partial(receipts.close, signer=self._signer, now=self._now)
            body = await self._run(partial(closing, older_than=0 if sign else RECEIPT_SECONDS))
        finally:
            await self._database.run(lambda c: leases.give_back(c, JOB, self._holder))
        if problem is not None:
            raise problem
        if body is not None:
            log.info("the receipt %s was signed: %d kinds of deletion", body.id, len(body.deleted))
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

    async def _sweep(self, *, now: bool) -> None:
        """Delete recordings of past days that no row speaks of, on this machine, whoever purges."""
        if now or self._now - self._swept >= _SWEEP_SECONDS:
            self._step("sweep")
            await asyncio.to_thread(self._content.place.sweep, day_of(self._now))
            self._swept = self._now

    async def _cut(self) -> None:
        """Have expire what is noted to, some rows at a time."""
        while True:
            self._step("cut")
            if not await self._run(partial(cuts.step, now=self._now)):
                return

    async def _rows(self) -> OSError | None:
        """Delete rows, recordings first: it is the rows that know what these are called. What kept some from
        being deleted, which must not keep anything else."""
        while True:
            async with self._database.connect() as connection:
                rows = await connection.run_sync(partial(purging.expired, now=self._now))
            if not rows:
                return None
            self._step("recordings")
            names = [row.recording for row in rows if row.recording is not None]
            problem = None
            try:
                await asyncio.to_thread(self._content.place.delete, names)
            except OSError as found:
                # Of days that are over the keys are destroyed now, and the sweep deletes the recordings.
                problem, today = found, day_of(self._now)
                rows = [row for row in rows if row.recording is None or row.recording < today]
                if not rows:
                    return problem
            self._step("rows")
            ids = [row.id for row in rows]
            await self._run(partial(purging.delete_rows, ids=ids, derived=self._derived, now=self._now))

    async def _move(self) -> bool:
        """Move what stays behind under retired keys to others, so that these can be destroyed; whether there
        was anything."""
        for number in itertools.count():
            async with self._database.connect() as connection:
                rows = await connection.run_sync(partial(purging.left_under_retired, most=_MOVED_AT_ONCE))
            if not rows:
                return number > 0
            self._step("move")
            known = await self._content.keys.of({row.sealed_with for row in rows})
            moved = []
            for row in rows:
                key = await self._content.keys.current(row.organization_id, day_of(row.expires_at))
                moved.append(await asyncio.to_thread(self._moved, row, known[row.sealed_with], key))
            self._step("moved")
            done: list[str] = []
            try:
                done = await self._run(partial(_write_moved, moved=moved))
            except KeyRetired as problem:  # meanwhile: they are moved to yet another one
                self._content.keys.forget(problem.ids)
            self._step("leave")
            left = [row.recording for row in rows if row.id in done]
            left += [one.columns.get("recording") for one in moved if one.id not in done]
            await asyncio.to_thread(self._content.place.delete, [name for name in left if name])
        return False

    def _moved(self, row: object, before: Key, key: Key) -> Moved:
        kept = opened(row, before)
        columns = sealed(kept, key)
        if kept.row.recording is not None:
            place, whose = self._content.place, kept.row.organization_id
            try:
                name = put(place, whose, kept.row.id, key, unsealed(place, row, before))
            except Missing:
                log.warning("the recording of %s is on another machine, and is given up", kept.row.id)
                name = None
            columns["recording"] = name
        return Moved(kept.row.id, before.id, columns)

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
