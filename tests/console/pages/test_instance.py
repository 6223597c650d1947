"""The installation, for operators alone."""

from __future__ import annotations

import re

from sqlalchemy import insert

from antiphon.status.outcomes import PROBES
from antiphon.storage.tables import organization
from console_service import PASSWORD, House


async def test_an_operator_makes_an_organization_gives_it_an_owner_and_credits_it(house: House) -> None:
    async with house.visitor("owner", operator=True) as operator, house.visitor() as owner:
        probes = {"id": PROBES, "name": "status probes", "created_at": 1, "prepaid": False}
        async with house.world.database.begin() as connection:
            await connection.execute(insert(organization).values(probes))
        assert "status probes" not in await operator.seen("/instance")
        text = await operator.done("/instance/organization", {"name": "rocket", "prepaid": "yes"})
        assert "rocket" in text and "in advance" in text
        rocket = await house.world.access.organizations.find("rocket")
        text = await operator.done("/instance/credit", {"organization": rocket.id, "amount": "12.50"})
        assert "was credited $12.50" in text and "$12.5" in text
        assert "must be US dollars" in await operator.refused(
            "/instance/credit", {"organization": rocket.id, "amount": "much"}
        )
        new = {"organization": rocket.id, "email": "wernher@example.com", "name": "Wernher"}
        text = await operator.done("/instance/owner", new)
        [token] = re.findall(r"/sign-in/link\?token=([\w-]+)", text)
        await owner.seen(f"/sign-in/link?token={token}")
        assert (await owner.post("/sign-in/link", {"token": token, "password": PASSWORD}))[0] == 303
        assert "rocket" in await owner.seen("/account")
        assert (await owner.get("/instance"))[0] == 403
    assert (await house.world.events(rocket.id))[1:4] == ["project.created", "credit.created", "user.added"]
