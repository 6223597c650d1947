"""The status page of the console, and incidents that operators keep."""

from __future__ import annotations

from console_service import House


async def test_an_operator_keeps_incidents_which_everybody_sees(house: House) -> None:
    async with house.visitor("owner", operator=True) as operator, house.visitor("reader") as reader:
        assert "No incident yet" in await operator.seen("/uptime")
        new = {"title": "Slow <answers>", "text": "We are looking into it.", "api": "chat"}
        text = await operator.done("/uptime/open", new)
        assert "Slow &lt;answers&gt;" in text and "going on" in text
        incident = (await house.services.status()).incidents[0]
        await operator.done("/uptime/note", {"incident": incident.id, "text": "A cable."})
        seen = await reader.seen("/uptime")
        assert "A cable." in seen and "Publish" not in seen
        assert (await reader.post("/uptime/resolve", {"incident": incident.id, "text": "x"}))[0] == 403
        assert "The incident is over." in await operator.done(
            "/uptime/resolve", {"incident": incident.id, "text": "Mended."}
        )
        assert "going on" not in await reader.seen("/uptime")


async def test_maintenance_is_announced_with_its_times(house: House) -> None:
    async with house.visitor("owner", operator=True) as operator:
        await operator.seen("/uptime")
        new = {
            "title": "Upgrade",
            "text": "New disks.",
            "begins": "2030-01-02T03:04",
            "ends": "2030-01-02T05:00",
        }
        text = await operator.done("/uptime/open", new)
        assert "2030-01-02 03:04 UTC to 2030-01-02 05:00 UTC" in text
        assert "must be a day and a time" in await operator.refused("/uptime/open", new | {"begins": "soon"})
