"""What follows from findings: a flag, and where a threshold calls for it a throttle or a suspension, in
one step.

And what people do about flags: appeal, resolve, suspend, resume. Everything that changes something is in
the audit log. The webhook is told by `operations.alerting`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.access import standing, tenancy
from antiphon.access.standing import Standing
from antiphon.moderation import flags, policy, thresholds
from antiphon.moderation.evidence import Evidence, NoEvidence
from antiphon.moderation.flags import Flag, Outcome, Status
from antiphon.moderation.monitor import Seen
from antiphon.moderation.policy import Found
from antiphon.storage import audit
from antiphon.storage.database import Database
from antiphon.values import Caller

THROTTLE_DIVISOR = 10
THROTTLE_SECONDS = 3600

log = logging.getLogger(__name__)


class Moderating:
    """`clock` in unix seconds. `by` is who asks; None is the operator's command line.

    An organization's id limits what is found to its own flags; None is for the operator.
    """

    def __init__(
        self, database: Database, clock: Callable[[], float], evidence: Evidence | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._evidence = NoEvidence() if evidence is None else evidence

    # --- what watches ---------------------------------------------------------------------------------------

    async def act(self, seen: Seen) -> Flag | None:
        """Raise a flag for what was found in a request, and do what its threshold calls for; None: nothing.

        The same request raises the same flag: to come again, since the database broke off, does no harm.
        """
        if not seen.caller.organization_id:
            return None
        async with self._database.begin() as connection:
            raised = await connection.run_sync(_raised, seen)
            if raised is None or not await connection.run_sync(flags.add, raised):
                return None
            await self._do(connection, raised)
        log.info("%s: %s for %s", raised.id, raised.action, raised.category)
        return raised

    async def _do(self, connection: AsyncConnection, raised: Flag) -> None:
        now = self._clock()
        if raised.action == "throttle":
            await standing.throttle(
                connection,
                raised.organization_id,
                divisor=THROTTLE_DIVISOR,
                seconds=THROTTLE_SECONDS,
                flag_id=raised.id,
                now=now,
            )
        elif raised.action == "suspend":
            await standing.suspend(
                connection,
                raised.organization_id,
                reason=f"automated monitoring: {raised.category}",
                flag_id=raised.id,
                by=None,
                now=now,
            )

    # --- who reads ------------------------------------------------------------------------------------------

    async def flags(
        self,
        organization_id: str | None,
        *,
        status: Status | None = None,
        category: str | None = None,
        after: str | None = None,
        before: str | None = None,
        limit: int = 20,
    ) -> tuple[list[Flag], bool]:
        """As `moderation.flags.listed`."""

        def read(connection: Connection) -> tuple[list[Flag], bool]:
            place = {"after": after, "before": before}
            return flags.listed(
                connection, organization_id, status=status, category=category, limit=limit, **place
            )

        async with self._database.connect() as connection:
            return await connection.run_sync(read)

    async def flag(self, organization_id: str | None, flag_id: str) -> Flag:
        async with self._database.connect() as connection:
            return await connection.run_sync(flags.get, organization_id, flag_id)

    async def evidence(self, organization_id: str | None, flag_id: str) -> str | None:
        """What a flag is about, as far as it is still kept."""
        found = await self.flag(organization_id, flag_id)
        if found.request_id is None:
            return None
        return await self._evidence.text(found.organization_id, found.request_id)

    async def standing(self, organization_id: str) -> Standing:
        async with self._database.connect() as connection:
            return await connection.run_sync(standing.read, organization_id)

    # --- who decides ----------------------------------------------------------------------------------------

    async def appeal(self, organization_id: str, flag_id: str, text: str, *, by: Caller | None) -> Flag:
        """An owner's words against a flag; the operator is told."""
        now = self._clock()

        def write(connection: Connection) -> Flag:
            key = by.key_id if by else None
            return flags.appeal(connection, organization_id, flag_id, text, by=key, now=int(now))

        async with self._database.begin() as connection:
            found = await connection.run_sync(write)
            await _record(connection, "flag.appealed", found, {}, by, now)
        return found

    async def resolve(self, flag_id: str, outcome: Outcome, answer: str = "", *, by: Caller | None) -> Flag:
        """Decide about a flag. One that is dismissed takes back what was done because of it."""
        now = self._clock()

        def write(connection: Connection) -> Flag:
            return flags.resolve(connection, flag_id, outcome, answer, now=int(now))

        async with self._database.begin() as connection:
            found = await connection.run_sync(write)
            await _record(connection, "flag.resolved", found, {"outcome": outcome}, by, now)
            if outcome == "dismissed":
                await standing.lift(connection, found.organization_id, flag_id, by=by, now=now)
        return found

    async def suspend(self, organization_id: str, reason: str, *, by: Caller | None) -> str:
        """By the operator's own hand: a flag like any other, so that it can be appealed against; its id.

        One that is suspended already stays so, by the flag that it has.
        """
        now = self._clock()
        raised = Flag(
            id=flags.id_of(now, "manual", organization_id),
            organization_id=organization_id,
            category=policy.MANUAL,
            score=1.0,
            findings=[Found("operator", policy.MANUAL, 1.0, "operator")],
            action="suspend",
            detail=reason,
            created_at=int(now),
        )
        async with self._database.begin() as connection:
            await tenancy.lock_organization(connection, organization_id)
            done = await standing.suspend(
                connection, organization_id, reason=reason, flag_id=raised.id, by=by, now=now
            )
            if not done:
                before = await connection.run_sync(standing.read, organization_id)
                return before.suspension_flag or ""
            await connection.run_sync(flags.add, raised)
        return raised.id

    async def resume(self, organization_id: str, *, by: Caller | None) -> bool:
        """Lift a suspension, and a throttle. Whether there was one."""
        async with self._database.begin() as connection:
            await tenancy.lock_organization(connection, organization_id)
            return await standing.resume(connection, organization_id, by=by, now=self._clock())


def _raised(connection: Connection, seen: Seen) -> Flag | None:
    organization_id, now = seen.caller.organization_id, int(seen.at)
    before = flags.scores(connection, organization_id, now)

    def earlier(category: str, score: float) -> int:
        return sum(one >= score for one in before.get(category, ()))

    decided = policy.decide(seen.findings, thresholds.read(connection, organization_id), earlier)
    if decided is None:
        return None
    found, action = decided
    about = (seen.request_id or seen.caller.key_id, found.category if found.side == "usage" else "")
    return Flag(
        id=flags.id_of(seen.at, organization_id, *about),
        organization_id=organization_id,
        project_id=seen.caller.project_id or None,
        key_id=seen.caller.key_id or None,
        request_id=seen.request_id,
        snapshot=seen.snapshot,
        category=found.category,
        score=round(found.score, 3),
        findings=_ordered(seen),
        action=action,
        detail=seen.detail,
        created_at=now,
    )


def _ordered(seen: Seen) -> list[Found]:
    """What is kept with a flag, the highest first."""
    ordered = sorted(seen.findings, key=lambda one: -one.score)
    return [msgspec.structs.replace(one, score=round(one.score, 3)) for one in ordered]


async def _record(
    connection: AsyncConnection, type: str, found: Flag, more: dict[str, Any], by: Caller | None, now: float
) -> None:
    await audit.record(
        connection,
        type,
        {"id": found.id, **more},
        organization_id=found.organization_id,
        project_id=found.project_id,
        by=by,
        now=now,
    )
