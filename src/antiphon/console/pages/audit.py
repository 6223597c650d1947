"""The audit log: who changed what, and for operators the proof that nothing of it was changed since."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from functools import partial
from urllib.parse import parse_qs

import msgspec

from antiphon.access.audit import Event, Filter
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console.forms import Form
from antiphon.console.jobs import Job
from antiphon.console.services import Pages
from antiphon.console.tables import ROWS, around
from antiphon.errors import ClientGone, InvalidRequest
from antiphon.storage import audit_proof
from antiphon.storage.database import Database

PROOF = "proof"
_DAY = 86_400
_FIELDS = ("type", "actor", "first", "last", "after", "before")


class AuditPages(Pages):
    def rows(self) -> list[Route]:
        return [
            self._shell.page("/audit", self.page, "org.read", "Who changed what in the organization."),
            self._shell.act("/audit/prove", self.prove, "operator", "Compute every digest of the log again."),
            self._shell.page("/audit/proof", self.proof, "operator", "How the proof goes."),
        ]

    async def page(self, exchange: Exchange) -> None:
        found = parse_qs(exchange.query.decode("latin-1"))
        asked = {name: found.get(name, [""])[0].strip() for name in _FIELDS}
        caller = exchange.known_caller
        events = await self._services.access.audit.list(
            caller.organization_id,
            _filter(asked),
            after=asked["after"] or None,
            before=asked["before"] or None,
            limit=ROWS,
        )
        people = await self._services.access.people.list(caller.organization_id)
        names = {one.member_id: one.name for one in people}
        await self._shell.show(
            exchange,
            "audit.html",
            events=[(event, _actor(event, names), _payload(event)) for event in events.data],
            people=people,
            asked=asked,
            filtered=any(asked[name] for name in ("type", "actor", "first", "last")),
            pages=around("/audit", asked, [one.id for one in events.data], events.has_more),
            job=await self._services.jobs.latest(PROOF, by=caller) if _runs(exchange) else None,
        )

    async def prove(self, exchange: Exchange, form: Form) -> None:
        await self._services.jobs.start(PROOF, self._prove, by=exchange.known_caller)
        await self._shell.go(exchange, "/audit")

    async def proof(self, exchange: Exchange) -> None:
        await exchange.answer_json(await self._services.jobs.latest(PROOF, by=exchange.known_caller))

    async def _prove(self, job: Job) -> None:
        await asyncio.to_thread(lambda: asyncio.run(_proved(self._services.database.apart(), job)))


async def _proved(database: Database, job: Job) -> None:
    """Read the whole log, in a thread and on a loop of its own: it computes for long."""

    def progress(done: int, total: int) -> None:
        job.state.done, job.state.total = done, total
        if job.stopped:
            raise ClientGone("The server ends.")

    async with database, database.connect() as connection:
        verify = partial(audit_proof.verify, pepper=database.pepper, progress=progress)
        findings = await connection.run_sync(verify)
        ends = await connection.run_sync(audit_proof.heads)
    if findings:
        job.state.bad = True
        job.state.said = f"The audit log was tampered with. {' · '.join(str(one) for one in findings[:20])}"
    else:
        rows = sum(one.sequence for one in ends)
        job.state.said = f"The audit log is whole: {rows:,} rows in {len(ends):,} chains."


def _runs(exchange: Exchange) -> bool:
    caller = exchange.known_caller
    return caller.operator or caller.kind == "operator"


def _filter(asked: dict[str, str]) -> Filter:
    first, last = _day(asked["first"], "first"), _day(asked["last"], "last")
    actor = [asked["actor"]] if asked["actor"] else []
    return Filter(
        event_types=[asked["type"]] if asked["type"] else [],
        actor_ids=actor,
        gte=first,
        lt=None if last is None else last + _DAY,
    )


def _day(said: str, name: str) -> int | None:
    """Its beginning (UTC), in unix seconds."""
    if not said:
        return None
    try:
        found = date.fromisoformat(said)
        return int(datetime(found.year, found.month, found.day, tzinfo=UTC).timestamp())
    except ValueError:
        raise InvalidRequest(f"'{name}' must be a day, as 2026-12-01.", param=name) from None


def _actor(event: Event, names: dict[str, str]) -> str:
    if event.actor_member_id:
        return names.get(event.actor_member_id) or event.actor_email or event.actor_member_id
    if event.actor_service_account_id:
        return "a service account"
    return "a key of the operator" if event.actor_key_id else "the operator’s command line"


def _payload(event: Event) -> str:
    return msgspec.json.format(msgspec.json.encode(event.payload), indent=2).decode()
