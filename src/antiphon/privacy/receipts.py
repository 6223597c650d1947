"""Receipts of what was deleted: counted in the transactions that delete, signed, each with its forerunner."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec.structs import asdict
from sqlalchemy import Connection, delete, func, insert, select, update

from antiphon.errors import ConfigurationError
from antiphon.storage import sql
from antiphon.storage.content_tables import content_receipt, content_receipt_item
from antiphon.storage.files import create_once
from antiphon.storage.ids import following, ordered_id

FILE_NAME = "receipts.key"
"""In the data folder: the Ed25519 key, 32 bytes in base64."""
NO_POLICY = -1
"""The days of what was deleted by no policy: what somebody asked for."""


class Count(msgspec.Struct, frozen=True, order=True):
    """So much of a kind was deleted. `kind` is one of request, `recording`, or `key`."""

    organization: str
    cause: str
    policy_days: int
    kind: str
    number: int = 1


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed. Times in unix seconds."""

    id: str
    began_at: int
    ended_at: int
    deleted: list[Count]
    previous: str
    """The SHA-256 of the body of the receipt before, in hexadecimal; empty for the first."""
    public_key: str
    """Whoever signed: Ed25519, 32 bytes in base64."""


class Receipt(msgspec.Struct, frozen=True):
    """A receipt as it is kept."""

    body: Body
    signed: bytes
    """The body as it was signed."""
    signature: bytes


class Signer:
    """Signs receipts of this data folder."""

    def __init__(self, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self.public_key = base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, signed: bytes) -> bytes:
        return self._key.sign(signed)


def load_signer(home: Path) -> Signer:
    """The key in `home/receipts.key`, made on the first call. Blocks on the disk.

    Raises `ConfigurationError` or `StorageFull` where it cannot be read or made.
    """
    path = home / FILE_NAME
    made = base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw())
    create_once(path, made + b"\n")
    try:
        return Signer(base64.b64decode(path.read_bytes().strip(), validate=True))
    except OSError as problem:
        raise ConfigurationError(
            f"{path} cannot be read: {problem.strerror}", fix="run as the user who owns the data folder"
        ) from None
    except ValueError:
        raise ConfigurationError(
            f"{path} holds no key to sign receipts with",
            fix="restore it, or remove it: a new one is made, and receipts tell of both",
        ) from None


def count(connection: Connection, counted: Iterable[Count], now: int) -> None:
    """Add to the receipt that is open, or to a new one."""
    rows = [
        {
            "receipt_id": "",
            "organization_id": one.organization,
            "cause": one.cause,
            "days": one.policy_days,
            "kind": one.kind,
            "number": one.number,
        }
        for one in _together(counted)
    ]
    if not rows:
        return
    id = _open(connection)
    if id is None:
        # The order of receipts is that of their ids, and each names the one before.
        last = connection.scalar(select(func.max(content_receipt.c.id)))
        id = following(ordered_id("purge_", now), last)
        connection.execute(insert(content_receipt).values(id=id, began_at=now))
    sql.add(connection, content_receipt_item, [row | {"receipt_id": id} for row in rows], ["number"])


def close(connection: Connection, signer: Signer, now: int, *, older_than: int = 0) -> Body | None:
    """Sign the receipt that is open, if it began `older_than` seconds before `now` or earlier."""
    id = _open(connection)
    if id is None:
        return None
    began = connection.scalar(select(content_receipt.c.began_at).where(content_receipt.c.id == id)) or 0
    if now - began < older_than:
        return None
    items = connection.execute(select(content_receipt_item).where(content_receipt_item.c.receipt_id == id))
    last = (
        select(content_receipt.c.body).where(content_receipt.c.id < id).order_by(content_receipt.c.id.desc())
    )
    before = connection.scalar(last.limit(1))
    body = Body(
        id=id,
        began_at=began,
        ended_at=now,
        deleted=sorted(Count(i.organization_id, i.cause, i.days, i.kind, i.number) for i in items),
        previous=hashlib.sha256(before).hexdigest() if before else "",
        public_key=signer.public_key,
    )
    signed = msgspec.json.encode(body)
    row = update(content_receipt).where(content_receipt.c.id == id)
    connection.execute(row.values(body=signed, signature=signer.sign(signed)))
    # They are in the body now.
    connection.execute(delete(content_receipt_item).where(content_receipt_item.c.receipt_id == id))
    return body


def listed(connection: Connection) -> list[Receipt]:
    """Every receipt that was signed, the oldest first."""
    query = select(content_receipt).where(content_receipt.c.body.is_not(None)).order_by(content_receipt.c.id)
    return [
        Receipt(msgspec.json.decode(row.body, type=Body), row.body, row.signature)
        for row in connection.execute(query)
    ]


def faults(receipts: Sequence[Receipt], trusted: Collection[str]) -> list[str]:
    """What is wrong with receipts in their order; `trusted` are the public keys that may have signed them."""
    found = []
    previous = ""
    for one in receipts:
        if one.body.public_key not in trusted:
            found.append(f"{one.body.id} is signed with a key that is not known here: {one.body.public_key}")
        elif not _signed(one):
            found.append(f"{one.body.id} is not what was signed")
        if one.body.previous != previous:
            found.append(
                f"{one.body.id} does not follow the receipt before it: one is missing or was changed"
            )
        previous = hashlib.sha256(one.signed).hexdigest()
    return found


def shown(body: Body) -> dict[str, Any]:
    """A receipt as rows for people and programs are made of it."""
    return asdict(body) | {"deleted": [asdict(one) for one in body.deleted]}


def _signed(receipt: Receipt) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(receipt.body.public_key))
        key.verify(receipt.signature, receipt.signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _open(connection: Connection) -> str | None:
    id: str | None = connection.scalar(select(content_receipt.c.id).where(content_receipt.c.body.is_(None)))
    return id


def _together(counted: Iterable[Count]) -> list[Count]:
    sums: dict[Count, int] = {}
    for one in counted:
        kind = msgspec.structs.replace(one, number=0)
        sums[kind] = sums.get(kind, 0) + one.number
    return [msgspec.structs.replace(kind, number=number) for kind, number in sums.items()]
