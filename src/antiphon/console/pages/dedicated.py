"""Dedicated instances: what there is, what it carries and costs, and what one would; ordered once quoted."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from antiphon.api import query
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.catalogue.entries import Entry
from antiphon.console.choices import instances
from antiphon.console.forms import Form
from antiphon.console.pages import dedicated_plots as plots
from antiphon.console.services import Pages, Services
from antiphon.console.shell import Shell
from antiphon.errors import InvalidRequest
from antiphon.ledger import measurements
from antiphon.ledger.duration import Rate, charge
from antiphon.ledger.levels import Objective, recommended
from antiphon.ledger.measurements import Measurement
from antiphon.operations.advising import Advisor, Answer, Question
from antiphon.operations.dedicated import Standing
from antiphon.operations.orders import Change, Order
from antiphon.operations.timeline import timelines

_HOURS = 24
_MONTH = 30
"""Days for which a price is told of what has no end."""


class _Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What advice is asked about: text, since a form sends fields that are empty, too."""

    latency: str = ""
    tokens: str = ""


class DedicatedPages(Pages):
    def __init__(self, shell: Shell, services: Services) -> None:
        super().__init__(shell, services)
        self._dedicated = services.dedicated

    def rows(self) -> list[Route]:
        act = self._shell.act
        return [
            self._shell.page("/dedicated", self.page, "org.read", "The organization's instances."),
            act("/dedicated/quote", self.quote, "org.write", "What an instance would cost."),
            act("/dedicated/create", self.create, "org.write", "Reserve an instance.", "/dedicated/quote"),
            act("/dedicated/update", self.update, "org.write", "Change an instance."),
            act("/dedicated/end", self.end, "org.write", "End an instance now."),
        ]

    async def page(self, exchange: Exchange) -> None:
        expected = query.read(exchange, _Expected)
        organization_id, now = exchange.known_caller.organization_id, int(self._services.clock())
        standings = await instances(self._dedicated, organization_id)
        async with self._services.database.connect() as connection:
            times = await connection.run_sync(timelines, organization_id, now)
        answers, problem = await self._advised(organization_id, expected)
        measured = await self._measured(organization_id, standings, answers)
        calendar = plots.calendar(times, {one.id: one.instance for one in standings}, now)
        await self._shell.show(
            exchange,
            "dedicated.html",
            now=now,
            current=[one for one in standings if not one.instance.over(now)],
            ended=[one for one in reversed(standings) if one.instance.over(now)],
            times={one.instance_id: one for one in times},
            calendar=calendar,
            offers=self._offers(),
            expected=expected,
            problem=problem,
            answers=[(one, plots.break_even(one.snapshot, one.advice)) for one in answers],
            measured=[(one, plots.load_curve(one), _best(one, expected)) for one in measured],
            local=_local,
        )

    def _offers(self) -> list[Entry]:
        """What may be ordered."""
        catalogue = self._services.catalogue()
        return [
            entry
            for id, entry in sorted(catalogue.entries.items())
            if entry.dedicated and entry.site is None and id in catalogue.installed - catalogue.ended
        ]

    async def _advised(self, organization_id: str, expected: _Expected) -> tuple[Sequence[Answer], str]:
        """Advice for every chat model that was used, and why there is none."""
        services = self._services
        advisor = Advisor(services.database, services.dedicated, services.catalogue(), services.clock)
        try:
            question = Question(latency=_seconds(expected), tokens_per_day=_tokens(expected.tokens))
            answers = await advisor.advised(organization_id, question)
        except InvalidRequest as problem:
            return [], problem.message
        return [one for one in answers if one.snapshot], ""

    async def _measured(
        self, organization_id: str, standings: Sequence[Standing], answers: Sequence[Answer]
    ) -> list[Measurement]:
        """The newest measurement of each model that there is an instance of, or that could be one."""
        named = {one.instance.snapshot for one in standings} | {one.snapshot for one in answers}
        async with self._services.database.connect() as connection:
            found = [
                await connection.run_sync(measurements.latest, organization_id, name)
                for name in sorted(named | {entry.id for entry in self._offers()})
            ]
        return [one for one in found if one is not None]

    # --- acts ----------------------------------------------------------------------------------------------

    async def quote(self, exchange: Exchange, form: Form) -> None:
        order = _order(form)
        quoted = await self._dedicated.quoted(exchange.known_caller.organization_id, order)
        made, hour = quoted.instance, quoted.price * quoted.instance.replicas
        rate = Rate(made.begins_at, made.ends_at, price=quoted.price, replicas=made.replicas)
        await self._shell.show(
            exchange,
            "quote.html",
            made=made,
            price=quoted.price,
            hour=hour,
            day=hour * _HOURS,
            month=hour * _HOURS * _MONTH,
            whole=None if made.ends_at is None else charge([rate], made.begins_at, made.ends_at),
            at_once=order.begins_at is None,
            fields=_fields(form),
            key=secrets.token_hex(16),
        )

    async def create(self, exchange: Exchange, form: Form) -> None:
        caller, key = exchange.known_caller, form.text("key")
        if not key or len(key) > 64:
            raise InvalidRequest("Ask what the instance costs first.", param="key")
        made = await self._dedicated.create(caller.organization_id, _order(form), by=caller, key=key)
        await self._shell.go(exchange, "/dedicated", f"“{made.instance.name}” is reserved.")

    async def update(self, exchange: Exchange, form: Form) -> None:
        caller, id = exchange.known_caller, form.text("instance")
        found = (await self._dedicated.get(caller.organization_id, id)).instance
        wanted: dict[str, Any] = {
            "name": form.text("name") or found.name,
            "load": form.number("load") or found.load,
            "replicas": form.number("replicas") or found.replicas,
            "spill_over": "spill_over" in form,
        }
        changes = {name: value for name, value in wanted.items() if value != getattr(found, name)}
        if form.text("until") != _local(found.ends_at):
            changes["ends_at"] = _moment(form, "until")
        change = Change(**changes)
        await self._dedicated.update(caller.organization_id, id, change, by=caller)
        await self._shell.go(exchange, "/dedicated", f"“{wanted['name']}” is changed.")

    async def end(self, exchange: Exchange, form: Form) -> None:
        caller = exchange.known_caller
        ended = await self._dedicated.end(caller.organization_id, form.text("instance"), by=caller)
        said = f"“{ended.instance.name}” has ended: it costs nothing from this second on."
        await self._shell.go(exchange, "/dedicated", said)


_FIELDS = ("model", "name", "context", "load", "replicas", "from", "until", "spill_over")


def _fields(form: Form) -> dict[str, str]:
    """What was filled in, to be sent again."""
    return {name: form.text(name) for name in _FIELDS if form.text(name)}


def _order(form: Form) -> Order:
    replicas = form.number("replicas")
    return Order(
        model=form.text("model"),
        name=form.text("name"),
        context=form.number("context"),
        load=form.number("load"),
        replicas=1 if replicas is None else replicas,
        begins_at=_moment(form, "from"),
        ends_at=_moment(form, "until"),
        spill_over="spill_over" in form,
    )


def _moment(form: Form, name: str) -> int | None:
    """Unix seconds of a time in UTC, as a browser writes it; None where nothing was filled in."""
    said = form.text(name)
    if not said:
        return None
    try:
        return max(0, int(datetime.fromisoformat(said).replace(tzinfo=UTC).timestamp()))
    except (ValueError, OverflowError):
        raise InvalidRequest(f"'{name}' must be a time like 2026-12-01T00:00.", param=name) from None


def _local(seconds: int | None) -> str:
    """A time in UTC as a browser's field has it."""
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M}"


def _seconds(expected: _Expected) -> float | None:
    if not expected.latency:
        return None
    try:
        found = float(expected.latency)
    except ValueError:
        found = -1.0
    if not 0 < found <= 86_400:
        raise InvalidRequest("The longest wait must be a number of seconds, as 2.5.", param="latency")
    return found


def _tokens(said: str) -> int | None:
    plain = said.replace(",", "")
    if not plain:
        return None
    if not plain.isascii() or not plain.isdigit() or not 0 < int(plain[:20]) <= 10**15:
        raise InvalidRequest("The tokens of a day must be a whole number.", param="tokens")
    return int(plain)


def _best(measured: Measurement, expected: _Expected) -> int | None:
    """The load that carries most within the wait that is asked for."""
    try:
        seconds = _seconds(expected)
    except InvalidRequest:
        return None
    wait = float("inf") if seconds is None else seconds
    best = recommended(measured.levels, Objective(seconds=wait, percentile=plots.PERCENTILE, of="answer"))
    return best.load if best else None
