"""Budgets: N requests at once never pass a limit, and what one process does not need another one may have."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from antiphon.errors import InsufficientQuota, Unavailable
from antiphon.ledger.budgets import BLOCK, TAKE_SECONDS
from antiphon.ledger.ledger import Ledger
from antiphon.ledger.meter import Account
from antiphon.storage import tables
from ledger_house import CHAT, DOLLAR, House, seconds, tokens

CENT = tokens(5_000)
"""Costs a cent."""


async def buy(ledger: Ledger, account: Account, name: str, hold: float = 0.0) -> str:
    """A request for a cent; what came of it."""
    try:
        async with ledger.meter.open(name, account, CHAT, CENT) as bill:
            await seconds(hold)
            await bill.settle(CENT)
    except (InsufficientQuota, Unavailable) as problem:
        return type(problem).__name__
    return "paid"


def left(house: House) -> dict[str, int]:
    """Nano-dollars that are leased of each scope."""
    return {row.scope: row.leased for row in house.rows(tables.spending) if row.leased}


def test_two_hundred_at_once_against_a_budget_for_fifty(house: House) -> None:
    account = house.tenant(project=50)

    async def main() -> None:
        async with house.ledger() as ledger:
            began = house.clock.now
            outcomes = await asyncio.gather(*(buy(ledger, account, f"req_{n}", 5) for n in range(200)))
            assert Counter(outcomes) == {"paid": 50, "InsufficientQuota": 150}
            assert house.clock.now - began < 7, "alone with its limit nobody waits for others"

    house.go(main())
    assert sum(cost for _, cost in house.requests().values()) == DOLLAR // 2


def test_a_crowd_of_new_organizations_asks_the_database_once(house: House) -> None:
    accounts = [house.tenant(name) for name in "abcd"]

    async def main() -> None:
        async with house.ledger() as ledger:
            before = house.transactions.count("_prepaid")
            crowd = [ledger._current().budgets.prepaid(accounts[n % 4].organization_id) for n in range(64)]
            assert await asyncio.gather(*crowd) == [False] * 64
            assert house.transactions.count("_prepaid") - before <= 2, "the first, and the rest"

    house.go(main())


def test_who_waits_with_one_that_fails_asks_again(house: House) -> None:
    account = house.tenant(prepaid=True)

    async def main() -> None:
        async with house.ledger() as ledger:
            ask = ledger._current().budgets.prepaid
            house.loses = True
            first = asyncio.create_task(ask(account.organization_id))
            await seconds(0.0015)
            second = asyncio.create_task(ask(account.organization_id))
            with pytest.raises(Unavailable):
                await first
            house.loses = False
            assert await second

    house.go(main())


@pytest.mark.parametrize(
    "limits", [{"organization": 50}, {"project": 50}, {"organization": 50, "project": 51}], ids=str
)
def test_four_processes_share_a_limit(house: House, limits: dict[str, int]) -> None:
    account = house.tenant(**limits)

    async def main() -> None:
        async with house.ledger() as a, house.ledger() as b, house.ledger() as c, house.ledger() as d:
            buyers = [
                buy(ledger, account, f"req_{name}{number}", 5)
                for name, ledger in zip("abcd", (a, b, c, d), strict=True)
                for number in range(50)
            ]
            outcomes = await asyncio.gather(*buyers)
            assert Counter(outcomes) == {"paid": 50, "InsufficientQuota": 150}

    house.go(main())
    assert sum(cost for _, cost in house.requests().values()) == DOLLAR // 2


def test_the_rest_of_a_budget_moves_to_who_needs_it(house: House) -> None:
    account = house.tenant(project=5)

    async def main() -> None:
        async with house.ledger() as a, house.ledger() as b:
            for number in range(5):
                ledger = (a, b)[number % 2]
                assert await buy(ledger, account, f"req_{number}") == "paid"
            assert await buy(a, account, "req_6") == await buy(b, account, "req_7") == "InsufficientQuota"

    house.go(main())


def test_remains_that_are_too_small_alone_are_put_together(house: House) -> None:
    account = house.tenant(project=2)

    async def main() -> None:
        half = tokens(2_500)
        async with house.ledger() as a, house.ledger() as b:
            for ledger, name in ((a, "req_a"), (b, "req_b")):
                async with ledger.meter.open(name, account, CHAT, CENT) as bill:
                    await bill.settle(half)
            outcomes = await asyncio.gather(buy(a, account, "req_c"), buy(b, account, "req_d"))
            assert sorted(outcomes) == ["InsufficientQuota", "paid"]

    house.go(main())


def test_many_that_wait_share_one_question(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            await asyncio.gather(*(buy(ledger, account, f"req_{n}") for n in range(100)))
            assert house.transactions.count("lease") == 2, "one for each scope"
            assert left(house)[account.project_id] > BLOCK - 2 * DOLLAR

    house.go(main())


def test_a_smaller_request_is_asked_for_by_itself(house: House) -> None:
    account = house.tenant(project=3)

    async def main() -> None:
        async with house.ledger() as ledger:

            async def spend(name: str, cents: int) -> str:
                try:
                    async with ledger.meter.open(name, account, CHAT, tokens(5_000 * cents)):
                        await seconds(1)
                except InsufficientQuota:
                    return "refused"
                return "served"

            big, small = asyncio.create_task(spend("req_1", 4)), asyncio.create_task(spend("req_2", 2))
            assert (await big, await small) == ("refused", "served")

    house.go(main())


def test_what_is_free_is_returned_when_nobody_asks(house: House) -> None:
    account = house.tenant(project=50)

    async def main() -> None:
        async with house.ledger() as ledger:
            await buy(ledger, account, "req_1")
            await seconds(0.5)
            assert left(house)[account.project_id] > 0
            await seconds(3)
            assert account.project_id not in left(house)
            assert left(house)[account.organization_id] > 0, "nobody waits for what has no limit"
            await seconds(65)
            assert left(house) == {}
            assert await buy(ledger, account, "req_2") == "paid"

    house.go(main())


def test_a_limit_that_is_lowered_counts_at_once(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            running = asyncio.create_task(buy(ledger, account, "req_1", 10))
            await seconds(2)
            house.limit(account.project_id, 2)
            await seconds(1.5)
            assert left(house)[account.project_id] == DOLLAR // 100, "what is reserved is honoured"
            assert await buy(ledger, account, "req_2") == "paid"
            assert await buy(ledger, account, "req_3") == "InsufficientQuota"
            house.limit(account.project_id, 3)
            assert await buy(ledger, account, "req_4") == "paid"
            assert await running == "paid"

    house.go(main())


def test_a_prepaid_organization_spends_what_it_was_credited(house: House) -> None:
    account = house.tenant(prepaid=True)

    async def main() -> None:
        async with house.ledger() as ledger:
            with pytest.raises(InsufficientQuota, match="prepaid balance"):
                async with ledger.meter.open("req_0", account, CHAT, CENT):
                    pytest.fail("it cannot be paid")
            house.prepay(account.organization_id, 2 * DOLLAR // 100)
            outcomes = [await buy(ledger, account, f"req_{number}") for number in (1, 2, 3)]
            assert outcomes == ["paid", "paid", "InsufficientQuota"]

    house.go(main())


def test_an_organization_that_becomes_prepaid_is_noticed(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            assert await buy(ledger, account, "req_1") == "paid"
            with house.engine.begin() as connection:
                connection.execute(tables.organization.update().values(prepaid=True))
            await seconds(1.5)
            assert await buy(ledger, account, "req_2") == "InsufficientQuota"

    house.go(main())


def test_what_costs_nothing_needs_no_budget(house: House) -> None:
    account = house.tenant(project=0)

    async def main() -> None:
        async with house.ledger() as ledger:
            async with ledger.meter.open("req_1", account, CHAT, tokens(0)) as bill:
                await bill.settle(tokens(0))

    house.go(main())
    assert house.requests() == {"req_1": ("settled", 0)}


def test_a_lease_whose_answer_is_lost_is_not_lost(house: House) -> None:
    account = house.tenant(project=10)

    async def main() -> None:
        async with house.ledger() as ledger:
            await buy(ledger, account, "req_1")
            await seconds(3)
            house.loses = True
            assert await buy(ledger, account, "req_2") == "Unavailable"
            house.loses = False
            await seconds(3)
            outcomes = [await buy(ledger, account, f"req_{number}") for number in range(3, 13)]
            assert Counter(outcomes) == {"paid": 9, "InsufficientQuota": 1}

    house.go(main())


def test_a_database_that_says_nothing_holds_nobody_for_long(house: House) -> None:
    account = house.tenant(project=10)

    async def main() -> None:
        async with house.ledger() as ledger:
            await buy(ledger, account, "req_0")
            await seconds(0.1)
            house.hangs = asyncio.Event()
            began = house.clock.now
            waiting = [buy(ledger, account, f"req_{n}") for n in range(1, 4)]
            assert set(await asyncio.gather(*waiting)) == {"Unavailable"}
            assert house.clock.now - began <= TAKE_SECONDS
            house.hangs.set()
            house.hangs = None
            await seconds(3)
            assert await buy(ledger, account, "req_9") == "paid"

    house.go(main())


def test_who_stops_waiting_stops_nobody_else(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            first = asyncio.create_task(buy(ledger, account, "req_1"))
            second = asyncio.create_task(buy(ledger, account, "req_2"))
            await seconds(0.005)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            assert await second == "paid"

    house.go(main())


def test_a_ledger_that_ends_lets_nobody_wait(house: House) -> None:
    account = house.tenant(project=1)

    async def main() -> None:
        async with house.ledger() as other:
            async with house.ledger() as ledger:
                holding = asyncio.create_task(buy(other, account, "req_1", 5))
                await seconds(0.5)
                waiting = asyncio.create_task(buy(ledger, account, "req_2"))
                await seconds(0.1)
                began = house.clock.now
            assert await waiting == "Unavailable"
            assert house.clock.now - began < 0.5
            assert await holding == "paid"

    house.go(main())


def test_a_request_that_came_too_late_is_refused(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            late = asyncio.create_task(buy(ledger, account, "req_1"))
            await asyncio.sleep(0)
        assert await late == "Unavailable"

    house.go(main())


def test_a_database_that_says_nothing_about_an_organization(house: House) -> None:
    account = house.tenant()

    async def main() -> None:
        async with house.ledger() as ledger:
            house.hangs = asyncio.Event()
            assert await buy(ledger, account, "req_1") == "Unavailable"
            house.hangs.set()
            house.hangs = None

    house.go(main())


def test_who_stops_waiting_for_others_is_not_told_anything(house: House) -> None:
    account = house.tenant(project=1)

    async def main() -> None:
        async with house.ledger() as a, house.ledger() as b:
            holding = asyncio.create_task(buy(a, account, "req_1", 5))
            await seconds(0.5)
            waiting = asyncio.create_task(buy(b, account, "req_2"))
            await seconds(0.1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await holding == "paid"

    house.go(main())
