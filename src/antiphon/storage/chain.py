"""The chains of the audit log: how a row is bound to the one before, and how the end of a chain is sealed.

Each organization has a chain, and one more holds the acts of the whole installation. A row's digest covers
its content and the digest before it, so that nothing can be changed, moved, put between or taken out without
changing every digest after it. The seal of a chain's end is made with the pepper, which is not in the
database: who can only write the database cannot make the end fit. That a chain exists at all is itself an
event of the installation's chain.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from antiphon.storage.ids import following, ordered_id
from antiphon.storage.sql import insert_missing
from antiphon.storage.tables import audit_head, audit_log

INSTALLATION = "installation"
"""The chain of what has no organization."""
STARTED = "audit_log.started"
"""The event that a chain begins, in the installation's."""
START = bytes(32)
"""What stands for the digest before the first row."""
_NOBODY = b""
"""A seal that fits nothing: of a chain that is there although it cannot be."""

_FORMAT = "antiphon audit 1"
_FIELDS = (
    "chain",
    "sequence",
    "id",
    "organization_id",
    "type",
    "effective_at",
    "project_id",
    "actor_key_id",
    "payload",
)


def digest(before: bytes, row: Mapping[str, Any]) -> bytes:
    """SHA-256 of a row by the names of `audit_log`, and of the digest `before` it."""
    content = [_FORMAT, before.hex(), *(row[name] for name in _FIELDS)]
    return hashlib.sha256(msgspec.json.encode(content)).digest()


def seal(pepper: bytes, chain: str, sequence: int, last: bytes) -> bytes:
    """What only a holder of the pepper can make of the end of a chain, `last` the digest of its last row."""
    content = [_FORMAT, "head", chain, sequence, last.hex()]
    return hmac.digest(pepper, msgspec.json.encode(content), hashlib.sha256)


def fits(pepper: bytes, head: Row[Any]) -> bool:
    """Whether a row of `audit_head` has the seal that it must have."""
    return hmac.compare_digest(head.seal, seal(pepper, head.chain, head.sequence, head.digest))


def append(connection: Connection, event: Mapping[str, Any]) -> None:
    """Write a row (all of `audit_log` but its place in the chain) at the end of its chain.

    The lock of the chain's end is held until the transaction ends: there is one next row. Its id sorts after
    all of the chain, whatever the clock says.
    """
    chain = event["organization_id"] or INSTALLATION
    head = _locked(connection, chain) or _begun(connection, chain, event["effective_at"])
    place = (audit_log.c.chain == chain, audit_log.c.sequence == head.sequence)
    last = connection.scalar(select(audit_log.c.id).where(*place))
    id = following(event["id"], last)
    row = {**event, "id": id, "chain": chain, "sequence": head.sequence + 1}
    row["digest"] = digest(head.digest, row)
    connection.execute(insert(audit_log).values(row))
    end = {"sequence": row["sequence"], "digest": row["digest"]}
    pepper = connection.get_execution_options().get("pepper", b"")
    if fits(pepper, head):
        # An end that does not fit stays so: it is for `audit verify` to tell, not for the next act to mend.
        end["seal"] = seal(pepper, chain, row["sequence"], row["digest"])
    connection.execute(update(audit_head).where(audit_head.c.chain == chain).values(end))


def _begun(connection: Connection, chain: str, now: int) -> Row[Any]:
    """The end of a chain that was not there."""
    pepper = connection.get_execution_options().get("pepper", b"")
    if chain == INSTALLATION:
        # The tables come with it: somebody removed it, and that stays to be seen.
        first = _NOBODY
    else:
        # Whoever begins a chain holds the end of the installation's: nobody else begins the same one.
        _locked(connection, INSTALLATION) or _begun(connection, INSTALLATION, now)
        if head := _locked(connection, chain):
            return head
        append(connection, started(chain, now))
        first = seal(pepper, chain, 0, START)
    row = {"chain": chain, "sequence": 0, "digest": START, "seal": first}
    insert_missing(connection, audit_head, [row])
    head = _locked(connection, chain)
    assert head is not None
    return head


def started(chain: str, now: int) -> dict[str, Any]:
    """The event that a chain begins; `now` in unix seconds."""
    return {
        "id": ordered_id("audit_log-", now),
        "organization_id": None,
        "type": STARTED,
        "effective_at": now,
        "project_id": None,
        "actor_key_id": None,
        "payload": msgspec.json.encode({"id": chain}).decode(),
    }


def _locked(connection: Connection, chain: str) -> Row[Any] | None:
    # SQLite has one writer; PostgreSQL locks the row.
    query = select(audit_head).where(audit_head.c.chain == chain).with_for_update()
    return connection.execute(query).one_or_none()
