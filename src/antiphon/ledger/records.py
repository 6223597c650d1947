"""What a journal holds: reservations and their ends, each framed so that a torn one is recognised.

A frame is the payload's length and CRC-32 (four bytes each, big endian) and the payload, msgpack.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import msgspec

from antiphon.ledger.moments import Endpoint, Times
from antiphon.values import Price, Task

_HEAD = struct.Struct(">II")


class Reserve(msgspec.Struct, frozen=True, kw_only=True, tag="reserve"):
    """`amount` nano-dollars are set aside for a request; times are seconds since 1970."""

    seq: int = 0
    """Counted from 1 in each journal, which numbers its records itself; 0 before that."""
    request_id: str
    organization_id: str
    project_id: str
    key_id: str
    member_id: str | None
    task: Task
    snapshot: str
    price: Price
    period: str
    """The month that is billed, YYYY-MM."""
    prepaid: bool
    """Whether the organization's credit was drawn upon as well."""
    created_at: int
    amount: int
    model: str = ""
    """The name that it was asked for."""
    endpoint: Endpoint = ""


class Settle(msgspec.Struct, frozen=True, kw_only=True, tag="settle"):
    """A request ended with these counts and costs, at most what it had reserved."""

    seq: int = 0
    request_id: str
    input_tokens: int
    """The cached ones included."""
    cached_tokens: int
    output_tokens: int
    seconds: int
    input_cost: int
    output_cost: int
    audio_cost: int
    ended_at: int
    times: Times = Times()
    reason: str = ""
    """Why it went no further than what was handed over; empty for a whole answer."""

    @property
    def cost(self) -> int:
        return self.input_cost + self.output_cost + self.audio_cost


class Void(msgspec.Struct, frozen=True, kw_only=True, tag="void"):
    """A request ended and costs nothing."""

    seq: int = 0
    request_id: str
    reason: str
    ended_at: int
    times: Times = Times()


Record = Reserve | Settle | Void
End = Settle | Void

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


def encode(record: Record) -> bytes:
    """One frame."""
    payload = _encoder.encode(record)
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def decode(data: bytes) -> Iterator[Record]:
    """The records of `data`, up to its end or to the first frame that is not whole.

    Such a frame was never acknowledged: it is where the machine stopped. Zeros, which some file systems
    leave there, are no frame either.
    """
    at = 0
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        payload = data[at + _HEAD.size : at + _HEAD.size + length]
        if not length or len(payload) < length or zlib.crc32(payload) != checksum:
            return
        yield _decoder.decode(payload)
        at += _HEAD.size + length
