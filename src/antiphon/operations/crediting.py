"""What an organization pays in advance is added to its balance, with its row in the audit log."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from antiphon.ledger import credits
from antiphon.ledger.credits import Credit
from antiphon.storage import audit
from antiphon.storage.database import Database
from antiphon.values import Caller


async def credit(
    database: Database,
    organization_id: str,
    dollars: str,
    note: str,
    *,
    name: str | None = None,
    by: Caller | None,
    now: float,
) -> Credit:
    """Add so many US dollars, with nine digits at most, or take them where they are negative.

    Under a `name` that was used before nothing is given again. `by` as in `Organizations`; `now` in unix
    seconds.
    """
    amount = int(Decimal(dollars).scaleb(9))
    give = partial(credits.add, name=name)
    async with database.begin() as connection:
        made, new = await connection.run_sync(give, organization_id, amount, note, int(now))
        if new:
            await audit.record(
                connection,
                "credit.created",
                {"id": made.id, "data": {"amount": dollars, "note": note}},
                organization_id=organization_id,
                by=by,
                now=now,
            )
    return made
