"""Members in the console: added, let in, changed, removed; and admin keys."""

from __future__ import annotations

import re

from console_service import House
from tenants import PASSWORD

_SECRET = re.compile(r'<code id="secret">([^<]+)</code>')


async def test_a_member_is_added_and_gets_in_by_the_link_that_is_shown_once(house: House) -> None:
    new = {"name": "Kim <i>", "email": "kim@example.com", "role": "member", "counts": "days"}
    async with house.visitor("owner") as visitor:
        await visitor.seen("/members")
        text = await visitor.done("/members/add", new)
        [link] = _SECRET.findall(text)
        assert "Kim &lt;i&gt;" in text and "It works once, until 2027-01-18" in text
        again = await visitor.seen("/members")
        assert link not in again and "not yet" in again
    async with house.visitor() as visitor:
        path = link.partition(str(house.service.port))[2]
        assert "Welcome, Kim" in await visitor.seen(path)
        token = path.partition("token=")[2]
        status, _ = await visitor.post("/sign-in/link", {"token": token, "password": PASSWORD})
        assert status == 303 and (await visitor.get(path))[0] == 401
        assert "kim@example.com" in await visitor.seen("/members")


async def test_a_new_link_is_made_for_a_forgotten_password_and_ends_the_one_before(house: House) -> None:
    member = await house.member("reader")
    async with house.visitor("owner") as visitor:
        await visitor.seen("/members")
        links = [
            _SECRET.findall(await visitor.done("/members/link", {"member": member.id}))[0] for _ in range(2)
        ]
    paths = [link.partition(str(house.service.port))[2] for link in links]
    async with house.visitor() as visitor:
        assert [(await visitor.get(path))[0] for path in paths] == [401, 200]


async def test_roles_are_changed_and_members_removed(house: House) -> None:
    member = await house.member("reader")
    async with house.visitor("owner") as visitor:
        await visitor.seen("/members")
        chosen = {"member": member.id}
        assert "is a member now" in await visitor.done("/members/role", chosen | {"role": "member"})
        assert "must be one of owner, member" in await visitor.refused(
            "/members/role", chosen | {"role": "god"}
        )
        assert "is removed" in await visitor.done("/members/remove", chosen)
        assert member.email not in await visitor.seen("/members")
        assert "There is no such user." in await visitor.refused("/members/remove", chosen)


async def test_nobody_goes_who_is_the_last_owner_or_oneself(house: House) -> None:
    async with house.visitor("owner") as visitor:
        text = await visitor.seen("/members")
        [mine] = re.findall(r'name="member" value="([^"]+)"', text)[:1]
        assert "cannot remove yourself" in await visitor.refused("/members/remove", {"member": mine})
        changed = await visitor.refused("/members/role", {"member": mine, "role": "reader"})
        assert "last owner" in changed


async def test_an_admin_key_is_made_shown_once_rotated_and_revoked(house: House) -> None:
    async with house.visitor("owner") as visitor:
        assert "No admin key yet" in await visitor.seen("/members")
        text = await visitor.done("/members/keys/create", {"name": "finance", "role": "reader", "days": "30"})
        [secret] = _SECRET.findall(text)
        assert "OPENAI_ADMIN_KEY" in text
        bearer = {"authorization": f"Bearer {secret}"}
        assert (await house.service.call("GET", "/v1/organization/users", headers=bearer))[0] == 200
        [key_id] = set(re.findall(r'name="key" value="([^"]+)"', await visitor.seen("/members")))
        rotated = _SECRET.findall(await visitor.done("/members/keys/rotate", {"key": key_id}))
        assert rotated and rotated != [secret]
        assert "refused from now on" in await visitor.done("/members/keys/revoke", {"key": key_id})
        assert "No admin key yet" in await visitor.seen("/members")


async def test_who_is_no_owner_sees_members_and_changes_none(house: House) -> None:
    member = await house.member("reader")
    for role in ("member", "reader"):
        async with house.visitor(role) as visitor:  # type: ignore[arg-type]
            text = await visitor.seen("/members")
            assert member.email in text and "/members/" not in text
            for act in ("add", "link", "role", "remove", "keys/create", "keys/rotate", "keys/revoke"):
                assert (await visitor.post(f"/members/{act}", {"member": member.id}))[0] == 403, act


async def test_only_an_operator_makes_a_link_for_an_operator(house: House) -> None:
    operator = await house.member("owner", operator=True)
    async with house.visitor("owner") as visitor:
        text = await visitor.seen("/members")
        assert f"New sign-in link for {operator.name}" in text  # of the owner who looks, not the operator's
        assert text.count("New link") == 1
        status, text = await visitor.post("/members/link", {"member": operator.id})
        assert status == 403 and "Only an operator" in text
    async with house.visitor("owner", operator=True) as visitor:
        await visitor.seen("/members")
        assert "works once" in await visitor.done("/members/link", {"member": operator.id})


async def test_what_cannot_be_a_member_is_said_on_the_page(house: House) -> None:
    async with house.visitor("owner") as visitor:
        await visitor.seen("/members")
        new = {"name": "x", "email": "nobody", "role": "member"}
        assert "must be an address" in await visitor.refused("/members/add", new)
        assert "must be one of" in await visitor.refused("/members/add", new | {"role": "operator"})
