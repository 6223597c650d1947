"""Keys in the console: shown once, changed by who may."""

from __future__ import annotations

import re

from console_service import House


async def test_a_key_is_made_shown_once_rotated_and_revoked(house: House) -> None:
    async with house.visitor("member") as visitor:
        assert "No key yet" in await visitor.seen("/keys")
        new = {"name": "bot", "project": house.project.id, "scopes": ["chat", "models"], "days": "30"}
        text = await visitor.done("/keys/create", new)
        [secret] = re.findall(r'<code id="secret">(sk-[^<]+)</code>', text)
        status, _, _ = await house.service.call(
            "GET", "/v1/models", headers={"authorization": f"Bearer {secret}"}
        )
        assert status == 200
        assert secret not in await visitor.seen("/keys")
        [key] = (await house.world.access.keys.list(house.realm)).data
        assert key.scopes == ("chat", "models") and key.owner and key.owner.type == "user"
        chosen = {"project": house.project.id, "key": key.id}
        rotated = re.findall(r'id="secret">(sk-[^<]+)<', await visitor.done("/keys/rotate", chosen))
        assert rotated and rotated != [secret]
        assert "refused from now on" in await visitor.done("/keys/revoke", chosen)
        assert "refused from now on" not in await visitor.seen("/keys")


async def test_what_cannot_be_a_key_is_said_on_the_page(house: House) -> None:
    async with house.visitor("owner") as visitor:
        await visitor.seen("/keys")
        new = {"name": "bot", "project": house.project.id}
        text = await visitor.refused("/keys/create", new)
        assert "must be some of" in text and 'value="bot"' in text and 'value="chat" checked' not in text
        assert "must be a whole number" in await visitor.refused("/keys/create", new | {"days": "soon"})


async def test_a_reader_sees_keys_and_changes_none(house: House) -> None:
    await house.world.key(house.realm, "bot")
    async with house.visitor("reader") as visitor:
        text = await visitor.seen("/keys")
        assert "bot" in text and "Make key" not in text and "Revoke" not in text
        new = {"name": "x", "project": house.project.id, "scopes": "chat"}
        status, text = await visitor.post("/keys/create", new)
        assert status == 403 and "insufficient permissions" in text
