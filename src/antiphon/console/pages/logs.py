"""The log of requests: what each was, when it went on, what it cost; its content while that is kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import parse_qs, quote

import msgspec

from antiphon.access.api_key import Realm
from antiphon.access.tenancy import missing
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console.services import Pages
from antiphon.console.tables import Around, link
from antiphon.errors import InvalidRequest
from antiphon.ledger.request_log import OUTCOMES, LoggedRequest, LogQuery, found, logged
from antiphon.storage import audit
from antiphon.values import Caller

WORDS = {
    "open": "running",
    "complete": "complete",
    "broken_off": "broken off",
    "voided": "not charged",
    "lost": "lost in a crash",
}
_FIELDS = ("id", "project", "model", "outcome", "from", "to", "after")


class Bar(msgspec.Struct, frozen=True):
    """A part of a request's time: from `start` on, so many milliseconds; also in thousandths."""

    name: str
    start: int
    milliseconds: int
    x: int
    width: int


class LogPages(Pages):
    def rows(self) -> list[Route]:
        page = self._shell.page
        return [
            page("/logs", self.page, "org.read", "The requests of the organization, the newest first."),
            page("/logs/{request_id}", self.request, "org.read", "One request."),
        ]

    async def page(self, exchange: Exchange) -> None:
        caller, said = exchange.known_caller, _said(exchange)
        if named := said.pop("id", ""):
            await self._shell.go(exchange, f"/logs/{quote(named.strip(), safe='')}")
            return
        query, problem = _wanted(caller.organization_id, said)
        async with self._services.database.connect() as connection:
            listed = await connection.run_sync(partial(logged, query=query))
        projects = (await self._services.access.projects.list(caller.organization_id, limit=100)).data
        await self._shell.show(
            exchange,
            "logs.html",
            listed=listed.data,
            pages=Around(older=link("/logs", said, after=listed.next) if listed.next else ""),
            asked=said,
            told=problem,
            words=WORDS,
            projects={one.id: one.name for one in projects},
        )

    async def request(self, exchange: Exchange) -> None:
        caller, services = exchange.known_caller, self._services
        request_id = exchange.parameters["request_id"]
        async with services.database.connect() as connection:
            one = await connection.run_sync(
                partial(found, organization_id=caller.organization_id, request_id=request_id)
            )
        if one is None:
            raise missing("request")
        readable = caller.role == "owner" or (one.member_id is not None and one.member_id == caller.member_id)
        kept = await services.evidence.text(caller.organization_id, request_id) if readable else None
        if kept is not None:
            await self._record(caller, request_id)
        await self._shell.show(
            exchange,
            "request.html",
            one=one,
            words=WORDS,
            bars=waterfall(one),
            readable=readable,
            content=[indented(line) for line in (kept or "").splitlines()],
            key=await self._key(caller.organization_id, one),
        )

    async def _key(self, organization_id: str, one: LoggedRequest) -> str:
        """What the key is called; its id where it is a session or not there any more."""
        realm = Realm(organization_id, one.project_id)
        names = {key.id: key.name for key in (await self._services.access.keys.list(realm, limit=100)).data}
        return names.get(one.key_id, one.key_id)

    async def _record(self, caller: Caller, request_id: str) -> None:
        """Who reads what others wrote is in the audit log."""
        services = self._services
        async with services.database.begin() as connection:
            await audit.record(
                connection,
                "content.viewed",
                {"id": request_id},
                organization_id=caller.organization_id,
                by=caller,
                now=services.clock(),
            )


def waterfall(one: LoggedRequest) -> list[Bar]:
    """What a request waited for, as bars under each other."""
    times, whole = one.times, max(one.times.ended or 0, 1)
    marks = [
        ("Waiting for a place", 0, times.queued),
        ("Reading, counting, reserving", times.queued, times.engine),
        ("Until the first piece", times.engine, times.first),
        ("Until the last", times.first, times.ended),
    ]
    return [
        Bar(name, start, end - start, start * 1000 // whole, max(4, (end - start) * 1000 // whole))
        for name, start, end in marks
        if start is not None and end is not None
    ]


def indented(line: str) -> str:
    """A document of JSON for people; anything else as it is."""
    try:
        return json.dumps(json.loads(line), indent=2, ensure_ascii=False)
    except ValueError:
        return line


def _said(exchange: Exchange) -> dict[str, str]:
    fields = parse_qs(exchange.query.decode("latin-1"))
    return {name: fields[name][-1][:200] for name in _FIELDS if fields.get(name, [""])[-1]}


def _wanted(organization_id: str, said: dict[str, str]) -> tuple[LogQuery, str]:
    """What is asked of the log; and what could not be understood of it, which is left out then."""
    outcome = next((one for one in OUTCOMES if one == said.get("outcome")), None)
    try:
        since = _day(said.get("from", ""))
        until = _day(said.get("to", ""), days=1)
    except InvalidRequest as problem:
        return LogQuery(organization_id=organization_id), problem.message
    return (
        LogQuery(
            organization_id=organization_id,
            project_id=said.get("project"),
            model=said.get("model"),
            outcome=outcome,
            since=since,
            until=until,
            after=said.get("after"),
        ),
        "",
    )


def _day(said: str, days: int = 0) -> int | None:
    if not said:
        return None
    try:
        day = datetime.fromisoformat(said).replace(tzinfo=UTC)
        return int((day + timedelta(days=days)).timestamp())
    except (ValueError, OverflowError):
        raise InvalidRequest(f"“{said}” is no day: write it like 2026-12-31.") from None
