"""Training opt-in through the API: owners alone, to a text that they name, on record."""

from __future__ import annotations

from typing import Any

import pytest

from admin_service import ORGANIZATION, House
from antiphon.access.api_key import Realm
from antiphon.privacy.consent import CURRENT, text

PATH = f"{ORGANIZATION}/training_opt_in"


async def test_opting_in_and_out(house: House) -> None:
    before = await house.get(PATH)
    assert (before["opted_in"], before["decision"]) == (False, None)
    assert before["text"] == {"version": CURRENT, "sha256": text().sha256, "text": text().text}
    version = before["text"]["version"]
    made = await house.post(PATH, {"opted_in": True, "text_version": version})
    assert made == await house.get(PATH)
    decision = made["decision"]
    assert made["opted_in"] and decision == {
        "id": decision["id"],
        "object": "organization.training_opt_in.decision",
        "opted_in": True,
        "decided_at": int(house.world.wall),
        "text_version": CURRENT,
        "text_sha256": text().sha256,
        "given_by": "",
        "api_key_id": decision["api_key_id"],
        "user_id": None,
    }
    assert decision["api_key_id"].startswith("key_")
    assert not (await house.post(PATH, {"opted_in": False}))["opted_in"]
    listed = await house.get(f"{PATH}/decisions?limit=1")
    rest = await house.get(f"{PATH}/decisions?after={listed['last_id']}")
    assert [one["opted_in"] for one in (*listed["data"], *rest["data"])] == [False, True]
    assert (listed["has_more"], rest["has_more"], rest["data"][0]) == (True, False, decision)
    assert (await house.world.events(house.organization.id))[-2:] == ["training_opt_in.updated"] * 2


async def test_it_is_for_owners(house: House) -> None:
    for role in ("member", "reader"):
        _, key = await house.world.key(Realm(house.organization.id), role, role=role)
        for opted_in in (True, False):
            body = {"opted_in": opted_in, "text_version": CURRENT}
            assert (await house.refused("POST", PATH, body, key=key))[0] == 403
        assert not (await house.get(PATH, key=key))["opted_in"]


async def test_an_operator_names_whoever_agreed(house: House) -> None:
    body = {"opted_in": True, "text_version": CURRENT}
    named = {"key": house.operator, "openai_organization": "acme"}
    assert await house.refused("POST", PATH, body, **named) == (400, None, "given_by")
    made = await house.post(PATH, body | {"given_by": "Ann, by letter"}, **named)
    assert made["decision"]["given_by"] == "Ann, by letter"


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, (400, "missing_required_parameter", "opted_in")),
        ({"opted_in": True}, (400, "missing_required_parameter", "text_version")),
        ({"opted_in": True, "text_version": "1999-01"}, (400, None, "text_version")),
        ({"opted_in": "yes", "text_version": CURRENT}, (400, "invalid_type", "opted_in")),
        (
            {"opted_in": True, "text_version": CURRENT, "given_by": "x" * 201},
            (400, "invalid_value", "given_by"),
        ),
        ({"opted_in": True, "text_version": CURRENT, "given_by": "a\nb"}, (400, None, "given_by")),
    ],
)
async def test_what_is_no_consent(house: House, body: Any, wrong: tuple[int, str, str]) -> None:
    assert await house.refused("POST", PATH, body) == wrong
    assert not (await house.get(PATH))["opted_in"]
