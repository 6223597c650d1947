"""What an organization asked lately, as prompts to compare with: read of what is kept, and kept nowhere."""

from __future__ import annotations

import asyncio
import time

from sqlalchemy import select

from antiphon import settings
from antiphon.app.data import opened_content
from antiphon.cli.administration import opened_database
from antiphon.cli.output import CommandFailed, ExitCode
from antiphon.cli.prompts import Prompt, prompt
from antiphon.errors import InvalidRequest
from antiphon.privacy import cuts
from antiphon.storage import audit
from antiphon.storage.content_tables import content as rows


def recent(home: str | None, org: str, most: int, agreed_by: str, max_tokens: int | None) -> list[Prompt]:
    """The last chats of an organization that can be asked again, the oldest first.

    Who of the organization agreed to that stands in its audit log. Raises `CommandFailed` if nothing is kept.
    """
    found = asyncio.run(_recent(home, org, most, agreed_by, max_tokens))
    if not found:
        raise CommandFailed(
            f"no chat of {org} is kept that could be asked again",
            fix="see antiphon data policy show, or give a file with --prompts",
            exit_code=ExitCode.REFUSED,
        )
    return found


async def _recent(
    home: str | None, org: str, most: int, agreed_by: str, max_tokens: int | None
) -> list[Prompt]:
    chosen, now = settings.load({"home": home}), time.time()
    async with opened_database(home) as (access, database), opened_content(chosen, database) as content:
        organization = await access.organizations.find(org)
        payload = {"id": organization.id, "requests": most, "agreed_by": agreed_by}
        async with database.begin() as connection:
            await audit.record(
                connection, "data.replayed", payload, organization_id=organization.id, by=None, now=now
            )
        async with database.connect() as connection:
            live = await connection.run_sync(cuts.live, organization.id, now)
            query = select(rows).where(*live, rows.c.kind == "chat", rows.c.whole)
            query = query.order_by(rows.c.id.desc()).limit(most)
            newest = (await connection.execute(query)).all()
        kept = await content.read(newest)
    found = []
    for one in reversed(kept):
        try:
            found.append(prompt(one.row.request_id, one.asked, max_tokens))
        except InvalidRequest:
            continue  # of several answers, say: it is not comparable
    return found
