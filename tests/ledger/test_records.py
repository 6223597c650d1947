"""Records and their frames: what comes back is what went in, and a torn frame ends the reading."""

from __future__ import annotations

import struct
import zlib
from datetime import date

import msgspec
import pytest

from antiphon.ledger.moments import Times
from antiphon.ledger.records import Record, Reserve, Settle, Void, decode, encode
from antiphon.values import Price

RECORDS: list[Record] = [
    Reserve(
        seq=1,
        request_id="req_1",
        organization_id="org-a",
        project_id="proj_a",
        key_id="key_a",
        member_id=None,
        task="chat",
        snapshot="model",
        price=Price(since=date(2023, 3, 1), input=2_000_000),
        period="2026-11",
        prepaid=True,
        created_at=1_700_000_000,
        amount=10**15,
        model="gpt-3.5-turbo",
        endpoint="chat.completions",
    ),
    Settle(
        seq=2,
        request_id="req_1",
        input_tokens=3,
        cached_tokens=1,
        output_tokens=2,
        seconds=0,
        input_cost=5,
        output_cost=7,
        audio_cost=11,
        ended_at=1_700_000_001,
        times=Times(1, 20, None, 300),
        reason="EngineFailed",
    ),
    Void(seq=3, request_id="req_2", reason="ClientGone", ended_at=1_700_000_002),
]
DATA = b"".join(map(encode, RECORDS))


def test_records_come_back() -> None:
    assert list(decode(DATA)) == RECORDS


def test_records_of_a_version_that_noted_less_are_read() -> None:
    for record in RECORDS:
        fields = msgspec.to_builtins(record)
        for name in ("model", "endpoint", "times"):
            fields.pop(name, None)
        payload = msgspec.msgpack.encode(fields)
        [old] = decode(struct.pack(">II", len(payload), zlib.crc32(payload)) + payload)
        assert old.request_id == record.request_id
        assert isinstance(old, Reserve) or old.times == Times()


def test_a_settlement_costs_its_parts() -> None:
    settle = RECORDS[1]
    assert isinstance(settle, Settle) and settle.cost == 23


@pytest.mark.parametrize("lost", range(1, len(encode(RECORDS[2])) + 1))
def test_a_torn_record_was_never_there(lost: int) -> None:
    assert list(decode(DATA[:-lost])) == RECORDS[:2]


def test_a_changed_byte_ends_the_reading() -> None:
    first = len(encode(RECORDS[0]))
    damaged = bytearray(DATA)
    damaged[first + 12] ^= 1
    assert list(decode(bytes(damaged))) == RECORDS[:1]


def test_zeros_are_no_record() -> None:
    assert zlib.crc32(b"") == 0, "which is why a frame of zeros would pass for one"
    assert list(decode(DATA + bytes(64))) == RECORDS


def test_a_length_beyond_the_end_ends_the_reading() -> None:
    assert list(decode(DATA + struct.pack(">II", 2**31, 0) + b"x" * 100)) == RECORDS
