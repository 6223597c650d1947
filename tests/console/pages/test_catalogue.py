"""Models in the console: shown to all, switched and ended by operators."""

from __future__ import annotations

import pytest

from antiphon.catalogue import preparing
from console_service import House
from service import CHAT, SPEECH


async def test_everybody_sees_what_names_mean_and_only_operators_change_it(house: House) -> None:
    async with house.visitor("reader") as visitor:
        text = await visitor.seen("/catalogue")
        assert "gpt-3.5-turbo" in text and f'id="{CHAT}"' in text and "Apache-2.0" in text
        assert "not announced" in text and "Plan a switch" not in text
    async with house.visitor("owner") as visitor:
        assert '<form method="post" action="/catalogue' not in await visitor.seen("/catalogue")
        for act in ("switch", "cancel", "end", "keep"):
            assert (await visitor.post(f"/catalogue/{act}"))[0] == 403


async def test_an_operator_plans_a_switch_and_calls_it_off(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"alias": "gpt-3.5-turbo", "snapshot": CHAT, "at": "2030-01-02T09:00", "notes": "faster"}
    async with house.visitor("owner", operator=True) as visitor:
        await visitor.seen("/catalogue")
        if not await _ready(house):
            assert "is not made ready" in await visitor.refused("/catalogue/switch", wanted)
        monkeypatch.setattr(preparing, "ready", lambda *_: True)
        for name, value, said in (
            ("alias", "none", "There is no alias"),
            ("snapshot", "none", "There is no snapshot"),
            ("snapshot", SPEECH, "is for chat"),
            ("at", "2020-01-01T00:00", "is over"),
            ("at", "soon", "must be a day and a time"),
            ("notes", "x" * 501, "at most 500"),
        ):
            assert said in await visitor.refused("/catalogue/switch", wanted | {name: value})
        text = await visitor.done("/catalogue/switch", wanted)
        assert "from 2030-01-02 09:00 UTC on" in text
        [[made], *_] = await house.services.changes.all()
        assert (made.alias, made.snapshot, made.notes) == ("gpt-3.5-turbo", CHAT, "faster")
        assert "called off" in await visitor.done("/catalogue/cancel", {"change": made.id})
        assert "There is no switch" in await visitor.refused("/catalogue/cancel", {"change": made.id})
        [event] = [
            one
            for one in (await house.world.access.audit.list(None)).data
            if one.type == "model.switch.created"
        ]
        assert event.actor_member_id and event.organization_id is None


async def _ready(house: House) -> bool:
    from antiphon.catalogue.choices import choices
    from antiphon.catalogue.store import ModelStore

    entry, settings = house.services.catalogue().entries[CHAT], house.services.settings
    store = ModelStore(settings.home_path)
    return all(preparing.ready(store, entry, one.kind) for one in choices(entry, store, settings))


async def test_an_operator_announces_an_end_and_calls_it_off(house: House) -> None:
    wanted = {"snapshot": CHAT, "day": "2030-01-02", "replacement": ""}
    async with house.visitor("owner", operator=True) as visitor:
        await visitor.seen("/catalogue")
        for name, value, said in (
            ("snapshot", "none", "There is no snapshot"),
            ("day", "2020-01-02", "one to come"),
            ("day", "soon", "must be a day"),
            ("replacement", "whisper-1", "name another model"),
        ):
            assert said in await visitor.refused("/catalogue/end", wanted | {name: value})
        assert f"{CHAT} ends on 2030-01-02" in await visitor.done("/catalogue/end", wanted)
        assert "called off" in await visitor.done("/catalogue/keep", {"snapshot": CHAT})
        assert "No end of" in await visitor.refused("/catalogue/keep", {"snapshot": CHAT})
