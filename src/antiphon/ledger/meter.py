"""What a request's conductor sees of the ledger: open a bill, say what was handed over, settle."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from functools import lru_cache

import msgspec

from antiphon.errors import StorageFull
from antiphon.ledger.journal import durable
from antiphon.ledger.life import Life
from antiphon.ledger.moments import Asked, Moments
from antiphon.ledger.prices import Cost, bound, capped, cost, effective, whole_seconds
from antiphon.ledger.records import End, Record, Reserve, Settle, Void
from antiphon.ledger.requests import scopes_of
from antiphon.values import Snapshot, Usage

DAY = 86_400

_log = logging.getLogger(__name__)


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Who pays."""

    organization_id: str
    project_id: str
    key_id: str
    member_id: str | None


class Bill:
    """One request's, from its reservation to its end. It ends once, whatever happens to who waits for it."""

    def __init__(self, life: Life, reserve: Reserve, clock: Callable[[], float], moments: Moments) -> None:
        self.moments = moments
        self._life, self._reserve, self._clock = life, reserve, clock
        self._scopes = scopes_of(reserve)
        self._handed: Usage | None = None
        self._waived = ""
        """Why what was handed over is not charged; empty if it is."""
        self._reservation: asyncio.Future[Record] | None = None
        self._ending: asyncio.Future[Record] | None = None
        self._settling: asyncio.Future[Record] | None = None
        self._reason = ""
        """Why it is void if nothing was handed over; empty while the request runs."""

    @property
    def request_id(self) -> str:
        return self._reserve.request_id

    @property
    def charged(self) -> bool:
        """Whether a settlement was begun and may be kept: it is not if there was no space for it."""
        begun = self._settling
        return begun is not None and not (_failed(begun) and isinstance(begun.exception(), StorageFull))

    def handed(self, usage: Usage) -> None:
        """What the client has been handed so far: what it pays if the answer goes no further."""
        self._handed = usage

    def waive(self, reason: str) -> None:
        """The request is to be void whatever was handed over, for it was no answer; unless it was settled."""
        self._waived = reason

    async def settle(self, usage: Usage) -> None:
        """The whole answer costs `usage`; durable once this returns, and the first settlement counts.

        Raises `StorageFull` or `Unavailable` if that could not be recorded, or not in time (it may still be,
        later): the answer must end as an error.
        """
        if self._ending is None or _failed(self._ending):
            self._ending = self._settling = self._end(self._settlement(usage))
        await durable(self._ending)

    async def reserve(self) -> None:
        """Record the reservation, whose amount is taken already; durable once this returns."""
        self._life.begun(self)
        self._reservation = self._life.journal.add(self._reserve)
        self._reservation.add_done_callback(self._reserved)
        await durable(self._reservation)

    def close(self, reason: str) -> None:
        """The request is over. If it was not settled it is now, for what was handed over, or else voided."""
        self._reason = reason
        self.finish()

    def finish(self) -> None:
        """Record the end that is missing, if there is one and nothing is still under way."""
        if self._reservation is None or not self._reservation.done() or _failed(self._reservation):
            return
        if self._ending is None or _failed(self._ending):
            self._ending = self._end(
                Void(
                    request_id=self.request_id,
                    reason=self._waived or self._reason,
                    ended_at=int(self._clock()),
                    times=self.moments.ended(),
                )
                if self._handed is None or self._waived
                else self._settlement(self._handed, self._reason)
            )

    def _end(self, end: End) -> asyncio.Future[Record]:
        future = self._life.journal.add(end)
        future.add_done_callback(lambda future: self._ended(end, _failed(future)))
        return future

    def _reserved(self, reservation: asyncio.Future[Record]) -> None:
        if _failed(reservation):
            self._life.allowances.give_back(self._scopes, self._reserve.amount)
            self._life.ended(self)
        elif self._reason:
            self.finish()

    def _ended(self, end: End, failed: bool) -> None:
        if not failed:
            spent = end.cost if isinstance(end, Settle) else 0
            self._life.allowances.charge(self._scopes, self._reserve.amount, spent)
            self._life.ended(self)
        elif self._reason:
            self._life.try_later(self)

    def _settlement(self, usage: Usage, reason: str = "") -> Settle:
        charged = self._charged(usage)
        return Settle(
            request_id=self.request_id,
            input_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            output_tokens=usage.completion_tokens,
            seconds=whole_seconds(usage),
            input_cost=charged.input,
            output_cost=charged.output,
            audio_cost=charged.audio,
            ended_at=int(self._clock()),
            times=self.moments.ended(),
            reason=reason,
        )

    def _charged(self, usage: Usage) -> Cost:
        whole = cost(self._reserve.price, usage)
        charged = capped(whole, self._reserve.amount)
        if charged != whole:
            _log.warning("%s used more than it had reserved: the rest is not charged", self.request_id)
        return charged


class Meter:
    """Opens bills. `life` gives the epoch that takes new requests, or raises `Unavailable`."""

    def __init__(self, life: Callable[[], Life], clock: Callable[[], float]) -> None:
        self._life, self._clock = life, clock

    @asynccontextmanager
    async def open(
        self,
        request_id: str,
        account: Account,
        snapshot: Snapshot,
        bound: Usage,
        asked: Asked | None = None,
    ) -> AsyncIterator[Bill]:
        """A bill for a request of at most `bound`, reserved durably before the block runs.

        Raises `InsufficientQuota` (a budget, or a prepaid balance), `StorageFull`, or `Unavailable`.
        A block that ends without a settlement, however it ends, pays what it said was handed over.
        """
        life, asked = self._life(), asked or Asked()
        reserve = await self._reserve(life, request_id, account, snapshot, bound, asked)
        bill = Bill(life, reserve, self._clock, asked.moments)
        try:
            await bill.reserve()
            yield bill
        except BaseException as problem:
            bill.close(type(problem).__name__)
            raise
        else:
            bill.close("Unsettled")

    async def _reserve(
        self,
        life: Life,
        request_id: str,
        account: Account,
        snapshot: Snapshot,
        most: Usage,
        asked: Asked,
    ) -> Reserve:
        """The reservation, its amount taken from the allowances, and not recorded yet."""
        now = int(self._clock())
        day, month = _day(now // DAY)
        price = effective(snapshot.prices, day)
        reserve = Reserve(
            request_id=request_id,
            organization_id=account.organization_id,
            project_id=account.project_id,
            key_id=account.key_id,
            member_id=account.member_id,
            task=snapshot.task,
            snapshot=snapshot.id,
            price=price,
            period=month,
            prepaid=await life.budgets.prepaid(account.organization_id),
            created_at=now,
            amount=bound(price, most),
            model=asked.model,
            endpoint=asked.endpoint,
        )
        await life.budgets.take(scopes_of(reserve), reserve.amount)
        return reserve


@lru_cache(maxsize=2)
def _day(number: int) -> tuple[date, str]:
    """A day of UTC, counted from 1970, and its month as bills name it."""
    day = datetime.fromtimestamp(number * DAY, UTC).date()
    return day, f"{day:%Y-%m}"


def _failed(future: asyncio.Future[Record]) -> bool:
    return future.done() and future.exception() is not None
