"""The books of processes whose wall clock jumps or saws: every request is in them once, in its place."""

from __future__ import annotations

import pytest

from antiphon.ledger import usage
from antiphon.ledger.buckets import Query
from antiphon.ledger.ledger import Ledger
from antiphon.ledger.meter import Account
from ledger_house import CHAT, House, seconds, tokens
from simulated_disk import SimulatedDisk

HOUR = 3600


async def serve(ledger: Ledger, account: Account, name: str, steps: list[float], house: House) -> None:
    async with ledger.meter.open(name, account, CHAT, tokens(10, 100)) as bill:
        for step in steps:
            await seconds(1)
            house.clock.offset += step
        await bill.settle(tokens(10, 10))


@pytest.mark.fault("the wall clock jumps by an hour")
@pytest.mark.fault("the wall clock saws by a second")
@pytest.mark.parametrize("steps", [[-HOUR], [HOUR], [HOUR, -HOUR], [-1.0, 1.0] * 5])
def test_usage_has_every_request_once_in_buckets_in_their_order(house: House, steps: list[float]) -> None:
    disk, account, number = SimulatedDisk(), house.tenant(), 8

    async def main() -> None:
        async with house.ledger(disk) as ledger, house.ledger(disk, host="there") as other:
            for turn in range(number):
                await serve((ledger, other)[turn % 2], account, f"req_{turn}", steps, house)
            await seconds(30)
            assert ledger.ready and other.ready, "nobody is taken for dead by a clock of the wall"

    begin = int(house.clock.wall()) // HOUR * HOUR
    house.go(main())
    assert house.requests() == {f"req_{turn}": ("settled", 40_000) for turn in range(number)}
    spread = (number + 1) * HOUR
    query = Query(organization_id="org-a", start=begin - spread, end=begin + spread, width="1h", limit=24)
    with house.engine.begin() as connection:
        page = usage.usage(connection, query)
    starts = [bucket.start for bucket in page.data]
    assert starts == sorted(set(starts))
    found = [result for bucket in page.data for result in bucket.results]
    assert sum(one.requests for one in found) == number
    assert sum(one.output_tokens for one in found) == 10 * number
