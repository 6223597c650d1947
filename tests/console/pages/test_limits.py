"""Limits and budgets: what is in force, and changed by who may."""

from __future__ import annotations

from sqlalchemy import insert

from antiphon.admission.limits import Limits
from antiphon.ledger import credits
from antiphon.storage.tables import spending
from console_service import House
from service import CHAT

CENT = 10_000_000


async def spent(house: House, amount: int) -> None:
    row = {"scope": house.project.id, "period": "2027-01", "charged": amount, "leased": 0, "wanted_at": 0}
    await house.world.database.run(lambda connection: connection.execute(insert(spending).values(row)))


async def test_a_budget_is_set_shown_beside_what_was_spent_and_removed(house: House) -> None:
    await spent(house, 85 * CENT + 1)
    async with house.visitor("owner") as visitor:
        assert "no budget" in await visitor.seen("/limits")
        text = await visitor.done("/limits/spend", {"project": house.project.id, "dollars": "1.00"})
        assert "in force within about a second" in text and ">$0.85<" in text and 'value="1.00"' in text
        assert 'value="85"' in text and '<span class="badge warn">85 %</span>' in text
        limits = house.services.spend_limits
        assert await limits.get(house.organization.id, house.project.id) == 100
        await visitor.done("/limits/spend", {"project": "", "dollars": "$1,000"})
        assert await limits.get(house.organization.id) == 100_000
        assert "is removed" in await visitor.done("/limits/spend/remove", {"project": house.project.id})
        assert await limits.get(house.organization.id, house.project.id) is None


async def test_what_is_no_amount_is_said(house: House) -> None:
    async with house.visitor("owner") as visitor:
        await visitor.seen("/limits")
        for wrong in ("", "-1", "1.005", "much", "999999999"):
            text = await visitor.refused("/limits/spend", {"project": "", "dollars": wrong})
            assert "A budget is" in text, wrong
        text = await visitor.refused("/limits/spend", {"project": "proj_none", "dollars": "1"})
        assert 'class="said bad"' in text


async def test_rates_are_set_for_a_project_and_go_back_to_the_installation_s(house: House) -> None:
    async with house.visitor("owner") as visitor:
        path = f"/limits/rates?project={house.project.id}&model={CHAT}"
        assert "Usually 3,000" in await visitor.seen(path)
        form = {"project": house.project.id, "model": CHAT, "requests_per_minute": "7", "tokens_per_day": "0"}
        text = await visitor.done("/limits/rates", form)
        assert "in force within a second" in text and "<strong>7</strong>" in text
        rates = house.services.rate_limits
        found = (await rates.list(house.organization.id, house.project.id, [CHAT]))[CHAT]
        assert (found.requests_per_minute, found.tokens_per_day) == (7, 0)
        assert 'value="7"' in await visitor.seen(path)
        await visitor.done("/limits/rates", form | {"requests_per_minute": "", "tokens_per_day": ""})
        assert (await rates.own(house.organization.id, house.project.id))[CHAT] == dict.fromkeys(
            Limits.__struct_fields__
        )
        await visitor.seen(path)
        text = await visitor.refused("/limits/rates", form | {"requests_per_minute": "9" * 14})
        assert "must be at most" in text and f'value="{"9" * 14}"' in text and 'aria-invalid="true"' in text
        assert "Back to limits" in text
        assert "not served" in await visitor.refused("/limits/rates", form | {"model": "none"})


async def test_who_pays_in_advance_sees_what_is_left(house: House) -> None:
    organization_id, now = house.organization.id, int(house.world.wall)
    async with house.visitor("reader") as visitor:
        assert "Paid in advance" not in await visitor.seen("/limits")
        await house.world.access.organizations.update(organization_id, prepaid=True, by=None)
        await house.world.database.run(
            lambda c: credits.add(c, organization_id, 25 * 10**9, "invoice 7", now)
        )
        text = await visitor.seen("/limits")
        assert "invoice 7" in text and '<dd class="figure">$25.00</dd>' in text


async def test_members_and_readers_look_and_change_nothing(house: House) -> None:
    for role in ("member", "reader"):
        async with house.visitor(role) as visitor:  # type: ignore[arg-type]
            text = await visitor.seen("/limits")
            assert "shop" in text and "/limits/spend" not in text and "/limits/rates" not in text
            for path in ("/limits/spend", "/limits/spend/remove", "/limits/rates"):
                assert (await visitor.post(path, {"dollars": "1"}))[0] == 403
            assert (await visitor.get(f"/limits/rates?project={house.project.id}&model={CHAT}"))[0] == 403
