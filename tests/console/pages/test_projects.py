"""Projects in the console, and their service accounts."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection, insert

from antiphon.access.api_key import Realm
from antiphon.storage.tables import usage_rollup
from console_service import House


async def test_a_project_is_made_renamed_and_archived(house: House) -> None:
    async with house.visitor("owner") as visitor:
        assert "shop" in await visitor.seen("/projects")
        text = await visitor.done("/projects/create", {"name": "bots & <b>"})
        assert "Now it needs a key" in text and "bots &amp; &lt;b&gt;" in text
        [path] = re.findall(r'action="(/projects/proj_[^"/]+)/rename"', text)
        assert "new name" in await visitor.done(path + "/rename", {"name": "bots"})
        assert "its keys are refused" in await visitor.done(path + "/archive")
        text = await visitor.seen("/projects")
        assert "bots" not in text
        assert "archived</span>" in await visitor.seen("/projects?archived=1")
        text = await visitor.seen(path)
        assert "Make account" not in text and "Rename" not in text
    assert {"project.created", "project.updated", "project.archived"} <= set(
        await house.world.events(house.organization.id)
    )


async def test_a_service_account_gets_a_key_that_is_shown_once_and_ends_with_it(house: House) -> None:
    path = f"/projects/{house.project.id}"
    async with house.visitor("member") as visitor:
        assert "No service account yet" in await visitor.seen(path)
        text = await visitor.done(path + "/accounts/create", {"name": "cron", "days": "7"})
        [secret] = re.findall(r'<code id="secret">(sk-[^<]+)</code>', text)
        bearer = {"authorization": f"Bearer {secret}"}
        assert (await house.service.call("GET", "/v1/models", headers=bearer))[0] == 200
        text = await visitor.seen(path)
        assert secret not in text and "cron" in text
        [account] = re.findall(r'name="account" value="([^"]+)"', text)
        assert "deleted" in await visitor.done(path + "/accounts/delete", {"account": account})
        assert "No service account yet" in await visitor.seen(path)
    house.world.monotonic += 1
    assert (await house.service.call("GET", "/v1/models", headers=bearer))[0] == 401


async def test_what_a_project_costs_is_that_of_this_month(house: House) -> None:
    begin = datetime.fromtimestamp(house.world.wall, UTC).replace(day=1, hour=0, minute=0, second=0)
    await _spent(house, int(begin.timestamp()), 1_500_000)
    await _spent(house, int(begin.timestamp()) - 86_400, 7_000_000_000)
    async with house.visitor("reader") as visitor:
        assert "$0.0015" in await visitor.seen("/projects")
        text = await visitor.seen(f"/projects/{house.project.id}")
        assert "$0.0015" in text and "$7" not in text


async def _spent(house: House, day: int, nanos: int) -> None:
    row = {
        "width": 86_400, "start": day, "organization_id": house.organization.id,
        "project_id": house.project.id, "key_id": "key_1", "snapshot": "chat-1", "task": "chat",
        "member_id": None, "requests": 1, "input_tokens": 1, "cached_tokens": 0, "output_tokens": 0,
        "seconds": 0, "input_cost": nanos, "output_cost": 0, "audio_cost": 0,
    }  # fmt: skip
    async with house.world.database.begin() as connection:
        await connection.run_sync(partial(Connection.execute, statement=insert(usage_rollup).values(row)))


async def test_many_projects_come_in_pages(house: House) -> None:
    for number in range(101):
        await house.world.project(house.organization, f"p{number:03}")
    async with house.visitor("reader") as visitor:
        text = await visitor.seen("/projects")
        [after] = re.findall(r'href="(/projects\?after=[^"]+)"', text)
        text = await visitor.seen(after)
        assert text.count('<a href="/projects/proj_') == 2 and "The next 100" not in text


async def test_who_may_not_change_projects_sees_them_alone(house: House) -> None:
    other = await house.world.realm("other", "theirs")
    assert isinstance(other, Realm)
    path = f"/projects/{house.project.id}"
    async with house.visitor("reader") as visitor:
        text = await visitor.seen("/projects") + await visitor.seen(path)
        assert "Make" not in text.replace("Made", "") and '<form method="post" action="/projects' not in text
        for act, fields in (
            ("/rename", {"name": "x"}),
            ("/archive", {}),
            ("/accounts/create", {"name": "x"}),
        ):
            assert (await visitor.post(path + act, fields))[0] == 403
        assert (await visitor.get(f"/projects/{other.project_id}"))[0] == 404
    async with house.visitor("member") as visitor:
        await visitor.seen(path)
        assert (await visitor.post("/projects/create", {"name": "x"}))[0] == 403
        theirs = f"/projects/{other.project_id}/accounts/create"
        assert "There is no such project." in await visitor.refused(theirs, {"name": "x"})


async def test_a_name_that_is_taken_is_said_on_the_page(house: House) -> None:
    async with house.visitor("owner") as visitor:
        await visitor.seen("/projects")
        assert "already a project with this name" in await visitor.refused(
            "/projects/create", {"name": "shop"}
        )
        assert "must be 1 to 100" in await visitor.refused("/projects/create", {"name": ""})
