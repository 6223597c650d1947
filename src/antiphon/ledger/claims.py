"""Idempotency keys: who answers a request that may be sent twice, and what became of it."""

from __future__ import annotations

import hashlib
import hmac

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, update

from antiphon.errors import Unavailable
from antiphon.ledger import epochs
from antiphon.storage import sql
from antiphon.storage.tables import idempotency


class New(msgspec.Struct, frozen=True):
    """The key was free: it is this request's now, until it says `end` or `drop`."""


class InFlight(msgspec.Struct, frozen=True):
    """Another request of the same content has it, and is not over."""

    request_id: str


class Ended(msgspec.Struct, frozen=True):
    """A request of the same content had it, and was charged."""

    request_id: str


class Mismatch(msgspec.Struct, frozen=True):
    """It was used for another content."""


Claim = New | InFlight | Ended | Mismatch


def claim(
    connection: Connection, digest: bytes, fingerprint: bytes, request_id: str, epoch_id: str, now: int
) -> Claim:
    """Take a key (`digest`: of the project and the key sent) for a request, if nobody has it.

    `fingerprint` is a digest of the request's content. What is written of it is made with the pepper: who has
    the database alone cannot find out by it what was asked. Raises `Unavailable` if the epoch is closed.
    """
    if epochs.lock(connection, epoch_id, shared=True).closed:
        raise Unavailable("This process was taken for dead.", retry_after=1)
    fingerprint = hmac.digest(_pepper(connection), b"idempotency\0" + fingerprint, hashlib.sha256)
    new = {
        "digest": digest,
        "fingerprint": fingerprint,
        "request_id": request_id,
        "epoch": epoch_id,
        "created_at": now,
        "ended": False,
    }
    # Changed to what it is: of two who come at once, the second waits and then sees the first one's row.
    taken = sql.insert(connection, idempotency).values(new)
    taken = taken.on_conflict_do_update(index_elements=["digest"], set_={"ended": idempotency.c.ended})
    row = connection.execute(taken.returning(idempotency)).one()
    if row.request_id == request_id:
        return New()
    if row.fingerprint != fingerprint:
        return Mismatch()
    return Ended(row.request_id) if row.ended else InFlight(row.request_id)


def end(connection: Connection, digest: bytes, request_id: str) -> None:
    """The request is charged: its key stays used."""
    connection.execute(update(idempotency).where(_of(digest, request_id)).values(ended=True))


def drop(connection: Connection, digest: bytes, request_id: str) -> None:
    """The request failed and costs nothing: the next one with this key is a first one."""
    connection.execute(delete(idempotency).where(_of(digest, request_id)))


def purge(connection: Connection, before: int) -> int:
    """Forget the keys that were taken before a moment in unix seconds; the answer is how many."""
    return connection.execute(delete(idempotency).where(idempotency.c.created_at < before)).rowcount


def _pepper(connection: Connection) -> bytes:
    return bytes(connection.get_execution_options().get("pepper", b""))


def _of(digest: bytes, request_id: str) -> ColumnElement[bool]:
    return (idempotency.c.digest == digest) & (idempotency.c.request_id == request_id)
