"""Advice from the books: whether an instance would be cheaper for an organization, model by model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial

import msgspec
from sqlalchemy import Connection, select

from antiphon.catalogue.catalogue import Catalogue
from antiphon.catalogue.instances import instances
from antiphon.errors import InvalidRequest
from antiphon.ledger import measurements, workload
from antiphon.ledger.advice import Advice, Day, Offer, advise, steady
from antiphon.ledger.levels import Of
from antiphon.ledger.measurements import Measurement
from antiphon.ledger.rollups import DAY
from antiphon.ledger.workload import Peak
from antiphon.operations.dedicated import Dedicated
from antiphon.pools import machines
from antiphon.storage.database import Database
from antiphon.storage.tables import organization

_NO_LATENCY = 10**12
"""Milliseconds that everything keeps."""
_OWN = "what an instance of its own served is among the tokens, and cost nothing of the shared service"
_NO_PRICE = "what an instance costs is not known: set its price in models.toml, or say one"
_ELSEWHERE = "it is served elsewhere: there is nothing here to reserve for it"
_UNMEASURED = (
    "what a replica carries was not measured: one is taken to carry the peak, however long that takes"
)


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, and what is said instead of what the books say. Money is nano-dollars."""

    model: str = ""
    """A snapshot, or an alias for the one that it means now; every one that was used, if this is empty."""
    days: int = 30
    """Whole days that are looked at, up to yesterday."""
    latency: float | None = None
    """Seconds; None if any will do."""
    percentile: int = 99
    of: Of = "answer"
    peak: int | None = None
    """Tokens a second."""
    throughput: int | None = None
    """Tokens a second that one replica carries."""
    price_per_hour: int | None = None
    """For each replica."""
    price: int | None = None
    """For 1,000 tokens."""
    tokens_per_day: int | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The advice for one model, what it was made of, and what is to be known of that."""

    snapshot: str
    """Empty if none was used, and none was asked for."""
    days: Sequence[Day]
    peak: int
    """Tokens a second."""
    busiest: Peak | None
    """Where the peak is from; None if it was said, or there was none."""
    measured: Measurement | None
    offers: Sequence[Offer]
    advice: Advice
    remarks: Sequence[str]


class Advisor(msgspec.Struct, frozen=True):
    """What advice is made of. `clock` gives unix seconds."""

    database: Database
    dedicated: Dedicated
    catalogue: Catalogue
    clock: Callable[[], float]

    async def advised(self, organization_id: str, question: Question) -> list[Answer]:
        """For each model that an organization used, the dearest first, or for the one that is asked for.

        Raises `InvalidRequest`.
        """
        today = datetime.fromtimestamp(self.clock(), UTC).date()
        last = today - timedelta(1)
        async with self.database.connect() as connection:
            first = await connection.run_sync(_first_day, organization_id, last, question.days)
            if question.model:
                names = [self._snapshot(question.model)]
            else:
                used = partial(workload.snapshots, first=first, last=last)
                names = await connection.run_sync(used, organization_id) or [""]
        rooms = {name: await self._rooms(name) for name in names}
        async with self.database.connect() as connection:
            return [
                await connection.run_sync(
                    self._answer, organization_id, question, name, (first, last), rooms[name]
                )
                for name in names
            ]

    def _answer(
        self,
        connection: Connection,
        organization_id: str,
        question: Question,
        name: str,
        span: tuple[date, date],
        room: int | None,
    ) -> Answer:
        days: Sequence[Day] = workload.days(connection, organization_id, name, *span)
        busiest = workload.peak(connection, organization_id, name, *span)
        own = [one for one in instances(connection, organization_id=organization_id) if one.snapshot == name]
        remarks = [_OWN] if own else []
        if question.tokens_per_day is not None:
            days, busiest, remarks = (
                [steady(span[1], question.tokens_per_day, _price(question, days))],
                None,
                [],
            )
        peak = busiest.rate if busiest else -(-(question.tokens_per_day or 0) // DAY)
        if question.peak is not None:
            peak, busiest = question.peak, None
        most = None
        if room is not None:
            most = room + sum(one.replicas for one in own if one.runs(self.clock()))
        measured = measurements.latest(connection, organization_id, name)
        offers, said = self._offers(question, name, peak, most, measured)
        return Answer(
            snapshot=name,
            days=days,
            peak=peak,
            busiest=busiest,
            measured=measured,
            offers=offers,
            advice=advise(
                days,
                offers,
                peak=peak,
                latency=_NO_LATENCY if question.latency is None else math.floor(question.latency * 1000),
                today=span[1] + timedelta(1),
                nano_per_1k_tokens=question.price,
            ),
            remarks=[*remarks, *said],
        )

    def _offers(
        self, question: Question, name: str, peak: int, most: int | None, measured: Measurement | None
    ) -> tuple[list[Offer], list[str]]:
        """The instances that might carry the peak, one for each load that was measured; and what is to be
        known of them."""
        entry = self.catalogue.entries.get(name)
        if entry and entry.site:
            return [], [_ELSEWHERE]
        price = question.price_per_hour
        if price is None and entry and entry.dedicated:
            price = entry.dedicated.price
        if price is None:
            return [], [_NO_PRICE]
        if question.throughput is not None:
            return [Offer(name=name, price=price, throughput=question.throughput, latency=0, most=most)], []
        if measured is None:
            # Whoever has not measured sees at least from when on one replica would pay.
            return [Offer(name=name, price=price, throughput=max(1, peak), latency=0, most=most)], [
                _UNMEASURED
            ]
        waits = [(one, one.latency(question.of, question.percentile)) for one in measured.levels]
        return [
            Offer(
                name=f"load {one.load}",
                price=price,
                throughput=int(one.throughput),
                latency=math.ceil(wait * 1000),
                most=most,
            )
            for one, wait in waits
            if wait is not None and one.throughput >= 1
        ], []

    async def _rooms(self, name: str) -> int | None:
        """For how many more replicas there is room from now on; None if that is not known."""
        now = int(self.clock())
        async with self.database.connect() as connection:
            known = await connection.run_sync(machines.known, now)
        entry = self.catalogue.entries.get(name)
        if (
            not known
            or entry is None
            or entry.site
            or name not in self.catalogue.installed - self.catalogue.ended
        ):
            return None
        return min(room.number for room in await self.dedicated.calendar(name, now, None))

    def _snapshot(self, model: str) -> str:
        name = self.catalogue.meaning(model) if model in self.catalogue.aliases else model
        entry = self.catalogue.entries.get(name)
        if entry is None or entry.task != "chat":
            raise InvalidRequest(f"'{model[:200]}' is no chat model of the catalogue.", param="model")
        return name


def _price(question: Question, days: Sequence[Day]) -> int:
    """What 1,000 tokens cost, if nobody has said so: what they did. Raises `InvalidRequest`."""
    if question.price is not None:
        return question.price
    tokens = sum(day.tokens for day in days)
    if not tokens:
        raise InvalidRequest(
            "Nothing was used yet: say what 1,000 tokens cost, too, with 'price_per_1k_tokens'.",
            param="price_per_1k_tokens",
        )
    return sum(day.cost for day in days) * 1000 // tokens


def _first_day(connection: Connection, organization_id: str, last: date, days: int) -> date:
    """So many days up to the last; of a younger organization, its first whole day, at the latest the last."""
    made = connection.scalar(select(organization.c.created_at).where(organization.c.id == organization_id))
    began = datetime.fromtimestamp(made or 0, UTC).date() + timedelta(1)
    return min(max(last - timedelta(days - 1), began), last)
