"""How an organization stands: its projects' keys refused, or its rates divided for a time.

Both are written in the transaction of whoever decides, and into the audit log. `None` for `by` is the
operator at the command line, or what watches by itself: then the payload names its flag.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.errors import InvalidRequest
from antiphon.storage import audit, sql
from antiphon.storage.moderation_tables import organization_standing
from antiphon.values import Caller

REASON_CHARACTERS = 500


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Times are unix seconds; all empty for an organization that may do everything."""

    suspended_at: int | None = None
    suspension_flag: str | None = None
    reason: str = ""
    throttled_until: int | None = None
    throttle_divisor: int = 1
    throttle_flag: str | None = None


_COLUMNS = [organization_standing.c[name] for name in Standing.__struct_fields__]


def read(connection: Connection, organization_id: str) -> Standing:
    query = select(*_COLUMNS).where(organization_standing.c.organization_id == organization_id)
    row = connection.execute(query).one_or_none()
    return Standing() if row is None else Standing(**row._mapping)


async def suspend(
    connection: AsyncConnection,
    organization_id: str,
    *,
    reason: str,
    flag_id: str,
    by: Caller | None,
    now: float,
) -> bool:
    """Refuse the organization's project keys from now on: within half a second, in every process.

    False if it is suspended already.
    """
    if not 1 <= len(reason) <= REASON_CHARACTERS or not reason.isprintable():
        raise InvalidRequest(
            f"'reason' must be 1 to {REASON_CHARACTERS} characters that can be printed.", param="reason"
        )
    before = await connection.run_sync(read, organization_id)
    if before.suspended_at is not None:
        return False
    values = {"suspended_at": int(now), "suspension_flag": flag_id, "reason": reason}
    await connection.run_sync(_put, organization_id, values)
    await _tell(
        connection, "organization.suspended", organization_id, {"flag": flag_id, "reason": reason}, by, now
    )
    return True


async def resume(connection: AsyncConnection, organization_id: str, *, by: Caller | None, now: float) -> bool:
    """Let it go on, at its full rates. False if there was nothing to lift."""
    before = await connection.run_sync(read, organization_id)
    throttled = before.throttled_until is not None and before.throttled_until > now
    if before.suspended_at is None and not throttled:
        return False
    await connection.run_sync(_put, organization_id, _CLEAR)
    lifted = {"suspended_at": before.suspended_at, "throttled_until": before.throttled_until}
    await _tell(connection, "organization.resumed", organization_id, {"lifted": lifted}, by, now)
    return True


async def throttle(
    connection: AsyncConnection, organization_id: str, *, divisor: int, seconds: int, flag_id: str, now: float
) -> None:
    """Divide the organization's rates for so long from now on."""
    until = int(now) + seconds
    values = {"throttled_until": until, "throttle_divisor": divisor, "throttle_flag": flag_id}
    await connection.run_sync(_put, organization_id, values)
    payload = {"flag": flag_id, "divisor": divisor, "until": until}
    await _tell(connection, "organization.throttled", organization_id, payload, None, now)


async def lift(
    connection: AsyncConnection, organization_id: str, flag_id: str, *, by: Caller | None, now: float
) -> None:
    """Take back what was done because of one flag, and nothing else."""
    before, values = await connection.run_sync(read, organization_id), dict[str, Any]()
    if before.suspension_flag == flag_id and before.suspended_at is not None:
        values |= {"suspended_at": None, "suspension_flag": None, "reason": ""}
    if before.throttle_flag == flag_id and before.throttled_until is not None:
        values |= {"throttled_until": None, "throttle_divisor": 1, "throttle_flag": None}
    if values:
        await connection.run_sync(_put, organization_id, values)
        await _tell(connection, "organization.resumed", organization_id, {"flag": flag_id}, by, now)


_CLEAR: dict[str, Any] = msgspec.structs.asdict(Standing())


def _put(connection: Connection, organization_id: str, values: dict[str, Any]) -> None:
    row = _CLEAR | {"organization_id": organization_id} | values
    insert = sql.insert(connection, organization_standing).values(row)
    connection.execute(insert.on_conflict_do_update(index_elements=["organization_id"], set_=values))


async def _tell(
    connection: AsyncConnection,
    type: str,
    organization_id: str,
    payload: dict[str, Any],
    by: Caller | None,
    now: float,
) -> None:
    await audit.record(
        connection, type, {"id": organization_id, **payload}, organization_id=organization_id, by=by, now=now
    )
