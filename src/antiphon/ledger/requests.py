"""A request as the books know it, and the entries that belong to each state it can be in.

    open ── reserve          settled ── reserve, release, charge
    voided ── reserve, release    lost ── reserve, release, loss

Posting writes the entries that a change of state adds; the proof compares all of them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from antiphon.ledger.allowances import Scope
from antiphon.ledger.records import Reserve, Settle, Void

Status = Literal["open", "settled", "voided", "lost"]
Kind = Literal["reserve", "release", "charge", "loss", "credit", "time", "refund"]

CLOSED = "epoch closed"
"""Why a request is void whose process was given up, or died."""


class Movement(msgspec.Struct, frozen=True):
    """So many nano-dollars from the account `credit` to the account `debit`."""

    debit: str
    credit: str
    amount: int


class Request(msgspec.Struct, kw_only=True):
    """A row of the table `request`: times in unix seconds, money in nano-dollars."""

    id: str
    epoch: str
    organization_id: str
    project_id: str
    key_id: str
    member_id: str | None
    task: str
    snapshot: str
    price_id: str
    period: str
    prepaid: bool
    created_at: int
    reserved: int
    status: str = "open"
    ended_at: int | None = None
    reason: str | None = None
    """Why it was voided or lost, or settled before its answer was whole."""
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    seconds: int = 0
    cost: int = 0
    """What it is charged; of a lost one, what nobody pays."""
    model: str | None = None
    """The name that it was asked for; None if that was not noted, as of older ones."""
    endpoint: str | None = None
    queued_ms: int | None = None
    engine_ms: int | None = None
    first_ms: int | None = None
    ended_ms: int | None = None

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Whose money it draws upon."""
        return scopes_of(self)

    def end(self, record: Settle | Void, *, late: bool) -> None:
        """Take the state that `record` says; `late` if its epoch is closed, so nothing can be charged."""
        self.ended_at = record.ended_at
        times = record.times
        self.queued_ms, self.engine_ms = times.queued, times.engine
        self.first_ms, self.ended_ms = times.first, times.ended
        if isinstance(record, Void):
            self.status, self.reason = "voided", record.reason
            return
        self.status, self.reason = ("lost", CLOSED) if late else ("settled", record.reason or None)
        self.input_tokens, self.cached_tokens = record.input_tokens, record.cached_tokens
        self.output_tokens, self.seconds = record.output_tokens, record.seconds
        self.cost = record.cost

    def movements(self) -> dict[Kind, Movement]:
        """The entries that its state has."""
        held = f"held/{self.project_id}"
        found: dict[Kind, Movement] = {"reserve": Movement(held, "holds", self.reserved)}
        if self.status != "open":
            found["release"] = Movement("holds", held, self.reserved)
        if self.status == "settled":
            found["charge"] = Movement(f"charged/{self.project_id}", f"revenue/{self.snapshot}", self.cost)
        if self.status == "lost":
            found["loss"] = Movement("loss", f"revenue/{self.snapshot}", self.cost)
        return found


def reserved(record: Reserve, epoch_id: str, price_id: str) -> Request:
    """The request that a reservation opens."""
    return Request(
        id=record.request_id,
        epoch=epoch_id,
        organization_id=record.organization_id,
        project_id=record.project_id,
        key_id=record.key_id,
        member_id=record.member_id,
        task=record.task,
        snapshot=record.snapshot,
        price_id=price_id,
        period=record.period,
        prepaid=record.prepaid,
        created_at=record.created_at,
        reserved=record.amount,
        model=record.model or None,
        endpoint=record.endpoint or None,
    )


def scopes_of(request: Request | Reserve) -> tuple[Scope, ...]:
    """Whose money a request draws upon."""
    month = request.period
    scopes = ((request.organization_id, month), (request.project_id, month))
    return (*scopes, (credit_scope(request.organization_id), "")) if request.prepaid else scopes


def credit_scope(organization_id: str) -> str:
    """The scope of what an organization paid in advance; it has no period."""
    return f"credit/{organization_id}"
