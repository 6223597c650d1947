"""Whether content may be trained on: what was decided, by whom, about which text, at any moment."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from antiphon.access.api_key import Realm
from antiphon.errors import InvalidRequest, NotFound
from antiphon.privacy.consent import CURRENT, Consents, text, texts
from tenants import START, World

SHIPPED = {"2026-11": "f3747d1e7799c172136fb30254bf2fd1849e7117b7e02fa19cf5fa133e3af6fe"}
"""Texts are never changed once somebody may have agreed to them."""


def consents(world: World) -> Consents:
    return Consents(world.database, lambda: world.wall)


def test_the_texts_are_those_that_were_shipped() -> None:
    assert {version: text(version).sha256 for version in texts()} == SHIPPED
    assert CURRENT == max(SHIPPED)
    assert hashlib.sha256(text().text.encode()).hexdigest() == text().sha256
    assert f"version {CURRENT}" in text().text.splitlines()[0]
    with pytest.raises(InvalidRequest, match=CURRENT):
        text("1999-01")


async def test_nobody_has_opted_in(world: World) -> None:
    acme = await world.organization()
    assert await consents(world).current(acme.id) is None
    assert not await consents(world).opted_in(acme.id, world.wall)
    assert await consents(world).opt_out(acme.id, by=None) is None, "there is nothing to revoke"
    assert await consents(world).list(acme.id) == ([], False)


async def test_who_agreed_when_and_to_what(world: World) -> None:
    acme = await world.organization()
    ann = await world.access.members.add(acme.id, "ann@example.com", "Ann", "owner", by=None)
    owner = await world.caller(Realm(acme.id), role="owner", member_id=ann.id)
    made = await consents(world).opt_in(acme.id, CURRENT, by=owner)
    assert made.opted_in and made.decided_at == START * 1_000_000
    assert (made.actor_key_id, made.actor_member_id) == (owner.key_id, ann.id)
    assert (made.text_version, made.text_sha256) == (CURRENT, text().sha256)
    assert await consents(world).current(acme.id) == made
    logged = (await world.access.audit.list(acme.id)).data
    [event] = [event for event in logged if event.type == "training_opt_in.updated"]
    assert event.actor_key_id == owner.key_id
    assert event.payload["data"] == {
        "opted_in": True,
        "text_version": CURRENT,
        "text_sha256": text().sha256,
        "given_by": "",
    }


async def test_any_moment_of_the_past_can_be_asked_for(world: World) -> None:
    acme, other = await world.organization("acme"), await world.organization("other")
    of = consents(world)
    for at, opted_in in ((10.25, True), (20.5, False), (30.125, True)):
        world.wall = START + at
        if opted_in:
            await of.opt_in(acme.id, CURRENT, given_by="Ann", by=None)
        else:
            await of.opt_out(acme.id, by=None)
    moments = {10.2: False, 10.25: True, 20.4: True, 20.5: False, 30.1: False, 30.125: True, 1e6: True}
    assert {at: await of.opted_in(acme.id, START + at) for at in moments} == moments
    assert not any([await of.opted_in(other.id, START + at) for at in moments])


async def test_the_last_word_holds_though_a_clock_is_behind(world: World) -> None:
    acme = await world.organization()
    made = await consents(world).opt_in(acme.id, CURRENT, given_by="Ann", by=None)
    world.wall -= 60
    revoked = await consents(world).opt_out(acme.id, by=None)
    assert revoked is not None and revoked.decided_at == made.decided_at + 1
    assert not await consents(world).opted_in(acme.id, START + 1)
    assert await consents(world).current(acme.id) == revoked


async def test_what_is_decided_already_is_not_decided_again(world: World) -> None:
    acme = await world.organization()
    of = consents(world)
    first = await of.opt_in(acme.id, CURRENT, given_by="Ann", by=None)
    world.wall += 1
    assert await of.opt_in(acme.id, CURRENT, given_by="Bob", by=None) == first
    out = await of.opt_out(acme.id, given_by="Bob", by=None)
    assert out is not None and (out.text_sha256, out.given_by) == (first.text_sha256, "Bob")
    world.wall += 1
    assert await of.opt_out(acme.id, by=None) == out
    assert (await of.list(acme.id))[0] == [out, first]


async def test_agreeing_to_another_text_is_a_decision_of_its_own(world: World) -> None:
    acme = await world.organization()
    of = consents(world)
    of.text = type(text())("2025-01", "An older text.", "00")
    old = await of.opt_in(acme.id, "2025-01", given_by="Ann", by=None)
    new = await consents(world).opt_in(acme.id, CURRENT, given_by="Ann", by=None)
    assert [old.text_version, new.text_version] == ["2025-01", CURRENT]
    assert (await of.list(acme.id))[0] == [new, old]


async def test_an_operator_says_who_of_the_organization_agreed(world: World) -> None:
    acme = await world.organization()
    operator = await world.caller(Realm())
    for by in (operator, None):
        with pytest.raises(InvalidRequest) as refused:
            await consents(world).opt_in(acme.id, CURRENT, by=by)
        assert refused.value.param == "given_by"
    made = await consents(world).opt_in(acme.id, CURRENT, given_by="Ann, by letter", by=operator)
    assert (made.given_by, made.actor_key_id) == ("Ann, by letter", operator.key_id)


@pytest.mark.parametrize(
    ("version", "given_by", "param"),
    [("1999-01", "Ann", "text_version"), ("", "Ann", "text_version")]
    + [(CURRENT, given_by, "given_by") for given_by in ("x" * 201, "a\0b", "a\nb")],
)
async def test_what_cannot_be_recorded(world: World, version: str, given_by: str, param: str) -> None:
    acme = await world.organization()
    with pytest.raises(InvalidRequest) as refused:
        await consents(world).opt_in(acme.id, version, given_by=given_by, by=None)
    assert refused.value.param == param
    assert await consents(world).list(acme.id) == ([], False)


async def test_an_organization_that_is_not_there(world: World) -> None:
    of = consents(world)
    for asking in (
        of.current("org-none"),
        of.list("org-none"),
        of.opt_in("org-none", CURRENT, given_by="Ann", by=None),
        of.opt_out("org-none", by=None),
    ):
        with pytest.raises(NotFound):
            await asking


async def test_the_list_comes_in_pages(world: World) -> None:
    acme = await world.organization()
    of = consents(world)
    for _ in range(3):
        await of.opt_in(acme.id, CURRENT, given_by="Ann", by=None)
        await of.opt_out(acme.id, by=None)
    whole, more = await of.list(acme.id)
    assert len(whole) == 6 and not more
    found, more = await of.list(acme.id, limit=4)
    rest, none = await of.list(acme.id, after=found[-1].id, limit=4)
    assert (found + rest, more, none) == (whole, True, False)
    for unknown in ("consent_none", "a\0"):
        with pytest.raises(InvalidRequest) as refused:
            await of.list(acme.id, after=unknown)
        assert refused.value.param == "after"


async def test_decisions_at_once_are_in_some_order(world: World) -> None:
    acme = await world.organization()
    of = consents(world)
    await asyncio.gather(
        *(of.opt_in(acme.id, CURRENT, given_by="Ann", by=None) for _ in range(4)),
        *(of.opt_out(acme.id, by=None) for _ in range(4)),
    )
    found, _ = await of.list(acme.id)
    assert [one.opted_in for one in found][::-1] == [n % 2 == 0 for n in range(len(found))]
    assert len({one.decided_at for one in found}) == len(found) >= 1
