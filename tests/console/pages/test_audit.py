"""The audit log in the console: read, filtered, and proved."""

from __future__ import annotations

import asyncio
import re

import pytest
from sqlalchemy import update

from antiphon.storage.tables import audit_log
from audit_rows import without_triggers
from console_service import House, Visitor


async def test_events_are_told_with_who_and_what_and_can_be_filtered(house: House) -> None:
    async with house.visitor("owner") as visitor:
        await visitor.seen("/projects")
        await visitor.post("/projects/create", {"name": "<script>"})
        text = await visitor.seen("/audit")
        assert "project.created" in text and "Owner" in text and "the operator’s command line" in text
        assert "&lt;script&gt;" in text and "<script>" not in text
        assert "user.added" not in await visitor.seen("/audit?type=project.created")
        [member] = re.findall(r'<option value="(user-[^"]+)"', text)
        mine = await visitor.seen(f"/audit?actor={member}")
        assert re.findall(r'class="what">([^<]+)', mine)[0] == "project.created"
        assert "user.added" not in mine  # by the command line
        assert "No entry is like that" in await visitor.seen("/audit?first=2020-01-01&last=2020-01-02")
        assert "project.created" in await visitor.seen("/audit?first=2027-01-15&last=2027-01-15")
        status, text = await visitor.get("/audit?first=soon")
        assert status == 400 and "must be a day" in text


async def test_a_long_log_is_read_page_by_page_there_and_back(house: House) -> None:
    for number in range(60):
        await house.world.project(house.organization, f"p{number}")
    async with house.visitor("reader") as visitor:
        first = await visitor.seen("/audit?type=project.created")
        [older] = re.findall(r'href="([^"]+)">Older', first)
        assert ">Newer" not in first and "Is the log whole" not in first
        second = await visitor.seen(older.replace("&amp;", "&"))
        assert second.count('class="what"') == 11 and ">Older" not in second
        [newer] = re.findall(r'href="([^"]+)">Newer', second)
        back = await visitor.seen(newer.replace("&amp;", "&"))
        assert re.findall(r"audit_log-\w+", back) == re.findall(r"audit_log-\w+", first)
        assert (await visitor.post("/audit/prove"))[0] == 403
        assert (await visitor.get("/audit/proof"))[0] == 403


@pytest.mark.parametrize("touched", [False, True])
async def test_an_operator_has_the_log_proved(house: House, touched: bool) -> None:
    if touched:
        async with house.world.database.begin() as connection:
            await connection.run_sync(without_triggers)
            change = update(audit_log).where(audit_log.c.type == "project.created")
            await connection.execute(change.values(payload="{}"))
    async with house.visitor("owner", operator=True) as visitor:
        assert "Prove it" in await visitor.seen("/audit")
        status, _ = await visitor.post("/audit/prove")
        assert (status, visitor.location) == (303, "/audit")
        await _ended(visitor)
        text = await visitor.seen("/audit")
        assert ("tampered with" in text) == touched and ("The audit log is whole" in text) != touched


async def _ended(visitor: Visitor) -> None:
    async with asyncio.timeout(60):
        while (await visitor.call("GET", "/audit/proof"))[1]["state"] == "running":
            await asyncio.sleep(0.05)
