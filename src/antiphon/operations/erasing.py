"""All that is kept of an organization, or of one of its projects, erased: noted in one transaction."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.privacy import expiring
from antiphon.storage import audit, scopes
from antiphon.values import Caller


async def erase(
    connection: AsyncConnection,
    organization_id: str,
    project_id: str | None,
    now: float,
    *,
    by: Caller | None = None,
) -> int:
    """From the end of the transaction on nothing of it is read any more; the purge deletes it and its keys.

    How many requests it was. `by` is who asks; None is the operator's command line. Raises `NotFound`.
    """
    await scopes.require(connection, organization_id, project_id, change=project_id is None)
    gone = await connection.run_sync(lambda sync: expiring.erase(sync, organization_id, now, project_id))
    await audit.record(
        connection,
        "data.erased",
        {"id": project_id or organization_id, "requests": gone},
        organization_id=organization_id,
        project_id=project_id,
        by=by,
        now=now,
    )
    return gone
