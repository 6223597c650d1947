"""Receipts add up, are signed, and name the one before: none can be changed or left out."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from antiphon.errors import ConfigurationError
from antiphon.privacy import receipts
from antiphon.privacy.receipts import FILE_NAME, Count, Receipt, Signer, faults, load_signer
from antiphon.storage.content_tables import content_receipt_item
from privacy_house import House


async def three(house: House) -> tuple[Signer, list[Receipt]]:
    signer = load_signer(house.home)
    async with house.database.begin() as connection:
        for number in range(3):
            counts = [Count("org-1", "expired", 30, "chat", number + 1)]
            await connection.run_sync(receipts.count, counts, 100 + number)
            await connection.run_sync(receipts.close, signer, 200 + number)
        return signer, await connection.run_sync(receipts.listed)


async def test_what_is_counted_adds_up(any_house: House) -> None:
    house = any_house
    signer = load_signer(house.home)
    one = Count("org-1", "expired", 30, "chat")
    async with house.database.begin() as connection:
        await connection.run_sync(receipts.count, [one, one, Count("org-1", "expired", 7, "chat")], 100)
        await connection.run_sync(receipts.count, [one, Count("org-2", "erased", -1, "recording", 5)], 150)
        await connection.run_sync(receipts.count, [], 160)
        assert await connection.run_sync(receipts.close, signer, 199, older_than=100) is None
        body = await connection.run_sync(receipts.close, signer, 200, older_than=100)
        assert await connection.run_sync(receipts.close, signer, 300) is None
    assert body is not None and (body.began_at, body.ended_at, body.previous) == (100, 200, "")
    assert body.deleted == [
        Count("org-1", "expired", 7, "chat", 1),
        Count("org-1", "expired", 30, "chat", 3),
        Count("org-2", "erased", -1, "recording", 5),
    ]
    assert await house.rows(content_receipt_item) == []
    [kept] = await house.receipts()
    assert kept.body == body


async def test_receipts_that_nobody_touched_are_sound(house: House) -> None:
    signer, found = await three(house)
    assert faults(found, {signer.public_key}) == [] and faults([], set()) == []


async def test_any_change_is_noticed(house: House) -> None:
    signer, found = await three(house)
    trusted = {signer.public_key}
    body = msgspec.structs.replace(found[1].body, deleted=[])
    changed = Receipt(body, msgspec.json.encode(body), found[1].signature)
    assert len(faults([found[0], changed, found[2]], trusted)) == 2  # and the next does not follow it
    assert len(faults([found[0], found[2]], trusted)) == 1
    assert len(faults(found[1:], trusted)) == 1
    assert len(faults([found[0], found[2], found[1]], trusted)) >= 2
    assert len(faults(found, set())) == 3


async def test_a_signature_of_somebody_else_is_none(house: House, tmp_path: Path) -> None:
    signer, found = await three(house)
    other = load_signer(tmp_path / "other")
    body = msgspec.structs.replace(found[0].body, deleted=[])
    signed = msgspec.json.encode(body)
    forged = Receipt(body, signed, other.sign(signed))
    assert "is not what was signed" in faults([forged], {signer.public_key})[0]
    body = msgspec.structs.replace(body, public_key=other.public_key)
    signed = msgspec.json.encode(body)
    foreign = Receipt(body, signed, other.sign(signed))
    assert other.public_key in faults([foreign], {signer.public_key})[0]
    assert faults([foreign], {signer.public_key, other.public_key}) == []


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    assert load_signer(tmp_path).public_key == load_signer(tmp_path).public_key
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("held", [b"", b"c2hvcnQ=", b"\xff\xfe", b"!"])
def test_a_file_without_a_key_is_complained_about(tmp_path: Path, held: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(held)
    with pytest.raises(ConfigurationError, match="holds no key"):
        load_signer(tmp_path)


@pytest.mark.fault("the wall clock jumps by an hour")
@pytest.mark.fault("the wall clock saws by a second")
@pytest.mark.parametrize("step", [-3600, -1])
async def test_receipts_follow_each_other_though_the_clock_is_set_back(house: House, step: int) -> None:
    signer, now = load_signer(house.home), 10_000
    async with house.database.begin() as connection:
        for number in range(6):
            now += step if number % 2 else 1 - step
            await connection.run_sync(
                receipts.count, [Count("org-1", "expired", 30, "chat", number + 1)], now
            )
            await connection.run_sync(receipts.close, signer, now)
    assert [one.body.deleted[0].number for one in await house.receipts()] == [*range(1, 7)]
