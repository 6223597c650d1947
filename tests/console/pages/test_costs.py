"""The page of costs: rounded for people, and exact to the nano-dollar as CSV."""

from __future__ import annotations

import csv
import io

from sqlalchemy import insert

from antiphon.ledger import time_charges
from antiphon.storage.tables import dedicated_ready
from console_service import House
from service import SPEECH

DAY = 86_400


async def spent(house: House) -> None:
    """A request, one of yesterday, and ten minutes of an instance that was away for half of them."""
    now, place = int(house.world.wall), house.realm
    key, _ = await house.world.key(place, "bot")
    chat = {"key_id": key.id, "input_tokens": 10, "output_tokens": 3}
    await house.use(now, **chat, input_cost=1, output_cost=2_000_000_000)
    await house.use(now - DAY, **chat, input_cost=5, output_cost=0)
    one = await house.reserve(ends_at=now + 600)
    ready = {"instance_id": one.id, "replica": 0, "begins_at": now, "ends_at": now + 300}
    await house.world.database.run(lambda c: c.execute(insert(dedicated_ready).values(ready)))
    await house.world.database.run(lambda c: time_charges.bill(c, now + 700))


async def test_money_is_rounded_and_instances_are_in_it(house: House) -> None:
    await spent(house)
    async with house.visitor("reader") as visitor:
        text = await visitor.seen("/costs?range=7&group=item")
        assert '<div class="figure">$2.13</div>' in text
        for item in ("chat-1, input", "chat-1, output", f"{SPEECH}, dedicated"):
            assert item in text
        assert ">$0.000000005<" in text and ">$2.000000000<" in text, "as many decimals in all of a column"
        assert "600 seconds" in text
        text = await visitor.seen("/costs?group=project")
        assert "dedicated instances, of no project" in text and '<div class="figure">$2.00</div>' in text
        text = await visitor.seen("/costs?range=custom&from=2026-01-01&to=2026-01-01")
        assert "Nothing was paid for" in text


async def test_the_table_is_downloaded_with_exact_amounts(house: House) -> None:
    await spent(house)
    async with house.visitor("owner") as visitor:
        _, text = await visitor.get("/costs/table.csv?range=7&group=item")
        assert list(csv.reader(io.StringIO(text))) == [
            ["Day", "Line item", "Quantity", "Unit", "US dollars"],
            ["2027-01-14", "chat-1, input", "10", "tokens", "0.000000005"],
            ["2027-01-14", "chat-1, output", "3", "tokens", "0"],
            ["2027-01-15", "chat-1, input", "10", "tokens", "0.000000001"],
            ["2027-01-15", "chat-1, output", "3", "tokens", "2"],
            ["2027-01-15", f"{SPEECH}, dedicated", "600", "duration_seconds", "0.125"],
        ]
        _, text = await visitor.get("/costs/table.csv?range=7")
        assert text.splitlines()[0] == "Day,US dollars" and text.splitlines()[-1] == "2027-01-15,2.125000001"
