"""The life of names and snapshots on a running server: announced, changed, rolled back, ended."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from benchmarks.processes import Server, antiphon
from typer.testing import CliRunner

from alone import alone
from antiphon.catalogue.pull import pull
from antiphon.cli.main import app
from receiver import Receiver, receiving_beside
from until import until

OLD, NEW = "paced-a-2024-01-01", "paced-b-2024-02-01"
ALIAS = "paced"
PROGRAM = (sys.executable, str(Path(__file__).parents[1] / "paced_antiphon.py"))
SETTINGS = {"ANTIPHON_PUBLIC_MODELS": "true", "ANTIPHON_PROCESSES": "2"}
pytestmark = pytest.mark.timeout(400)
MESSAGES: Any = [{"role": "user", "content": "x"}]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving_beside() as started:
        yield started


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path, receiver: Receiver) -> Iterator[Server]:
    home = alone(tmp_path_factory.mktemp("home"))
    pull(home, str(smollm2), OLD, alias=ALIAS)
    pull(home, str(smollm2), NEW)
    file = home / "models.toml"
    text = re.sub("(?m)^engine = .*$", 'engine = "llama"', file.read_text()).replace("serve = true\n", "")
    file.write_text(text)
    webhook = {"ANTIPHON_WEBHOOK": f"{receiver.address}/hook"}
    with antiphon(home, SETTINGS | webhook, program=PROGRAM) as started:
        yield started


@pytest.fixture
async def client(server: Server) -> AsyncIterator[openai.AsyncOpenAI]:
    # With a connection for each request, any process may be the one that answers it.
    close = {"Connection": "close"}
    async with openai.AsyncOpenAI(base_url=server.url, api_key=server.key, default_headers=close) as client:
        yield client


async def command(server: Server, *words: str) -> str:
    """What `antiphon models …` prints, beside the running server."""

    def run() -> str:
        done = CliRunner().invoke(app, ["models", *words, "--home", str(server.home)])
        assert done.exit_code == 0, done.output
        return done.stdout

    return await asyncio.to_thread(run)


async def everywhere(condition: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    """Return once a condition holds in every process: many times after one another."""
    held = 0
    async with asyncio.timeout(seconds):
        while held < 20:
            held = held + 1 if await condition() else 0
            await asyncio.sleep(0.05)


async def settled(client: openai.AsyncOpenAI, means: str) -> None:
    """Wait until every process takes the alias for a snapshot."""

    async def look() -> bool:
        shown = (await client.models.retrieve(ALIAS)).model_extra or {}
        return bool(shown["alias_of"] == means)

    await everywhere(look)


async def means(client: openai.AsyncOpenAI) -> str:
    answer = await client.chat.completions.create(model=ALIAS, messages=MESSAGES, max_tokens=1)
    return answer.model


async def page(server: Server) -> str:
    async with httpx.AsyncClient() as visitor:
        return (await visitor.get(f"{server.root}/models")).text


async def test_a_switchover_is_announced_in_the_file_and_happens_at_its_time(
    server: Server, client: openai.AsyncOpenAI
) -> None:
    assert await means(client) == OLD
    file = server.home / "models.toml"
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=20)
    change = f'{{ since = {at.isoformat()}, snapshot = "{NEW}", notes = "Knows <more>." }}'
    file.write_text(
        file.read_text().replace(f'snapshot = "{OLD}"\n', f'snapshot = "{OLD}"\nchanges = [{change}]\n')
    )

    async def announced() -> bool:
        return "Knows &lt;more&gt;." in await page(server)

    await everywhere(announced, 20)
    while time.time() < at.timestamp() - 0.5:
        assert await means(client) == OLD
        await asyncio.sleep(0.2)
    await settled(client, NEW)
    assert time.time() >= at.timestamp()
    assert await means(client) == NEW
    shown = await page(server)
    assert f"{at:%Y-%m-%d %H:%M} UTC" in shown and f'href="#{NEW}"' in shown


async def test_one_is_announced_by_command_called_off_and_made_and_rolled_back(
    server: Server, client: openai.AsyncOpenAI
) -> None:
    said = await command(server, "switch", ALIAS, OLD, "--at", "2999-01-01", "--notes", "for ever")
    [id] = re.findall(r"switch-\w+", said)
    assert "coming" in await command(server, "changes")
    await command(server, "cancel", id)
    assert "coming" not in await command(server, "changes")
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=20)
    await command(server, "switch", ALIAS, OLD, "--at", at.isoformat(), "--notes", "back for a while")
    while time.time() < at.timestamp() - 0.5:
        assert await means(client) == NEW
        await asyncio.sleep(0.2)
    await settled(client, OLD)
    assert await means(client) == OLD
    await command(server, "rollback", ALIAS)
    await settled(client, NEW)
    assert await means(client) == NEW
    rows = json.loads(await command(server, "changes", "--json"))
    assert [(row["to"], row["state"]) for row in rows] == [
        (OLD, "over"), (NEW, "over"), (OLD, "over"), (NEW, "now"),
    ]  # fmt: skip


async def test_a_snapshot_that_ends_says_so_and_is_refused_after_its_day(
    server: Server, client: openai.AsyncOpenAI, receiver: Receiver
) -> None:
    pinned = await client.chat.completions.with_raw_response.create(
        model=OLD, messages=MESSAGES, max_tokens=1
    )
    assert "sunset" not in pinned.headers and pinned.parse().model == OLD
    await command(server, "retire", OLD, "--on", "2999-01-01", "--replacement", ALIAS)

    async def told() -> bool:
        retiring = await client.chat.completions.with_raw_response.create(
            model=OLD, messages=MESSAGES, max_tokens=1
        )
        return "sunset" in retiring.headers

    await everywhere(told)
    retiring = await client.chat.completions.with_raw_response.create(
        model=OLD, messages=MESSAGES, max_tokens=1
    )
    assert parsedate_to_datetime(retiring.headers["sunset"]) == datetime(2999, 1, 1, tzinfo=UTC)
    deprecated = datetime.fromtimestamp(int(retiring.headers["deprecation"].removeprefix("@")), UTC)
    assert timedelta(0) <= datetime.now(UTC) - deprecated < timedelta(days=2)
    listed = {model.id: model.model_dump() for model in (await client.models.list()).data}
    assert listed[OLD]["shutdown_date"] == "2999-01-01" and listed[ALIAS].get("shutdown_date") is None
    assert "2999-01-01" in await page(server)
    await until(lambda: "model.end.announced" in receiver.types, 30)

    await command(server, "retire", OLD, "--on", f"{datetime.now(UTC):%Y-%m-%d}", "--replacement", ALIAS)

    async def gone() -> bool:
        return OLD not in {model.id for model in (await client.models.list()).data}

    await everywhere(gone)
    with pytest.raises(openai.NotFoundError, match=f"Use '{ALIAS}' instead") as refusal:
        await client.chat.completions.create(model=OLD, messages=MESSAGES)
    assert refusal.value.code == "model_not_found"
    assert await means(client) == NEW
    assert OLD in await page(server), "what it was is still told"


async def test_who_used_a_snapshot_is_told(server: Server, client: openai.AsyncOpenAI) -> None:
    await means(client)

    async def users(name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(await command(server, "users", name, "--json"))
        return found

    async with asyncio.timeout(60):
        while not await users(ALIAS):
            await asyncio.sleep(0.5)
    for name in (ALIAS, NEW, OLD):
        [user] = await users(name)
        assert user["requests"] > 0 and user["organization"] and user["key_id"].startswith("key_")


async def test_the_webhook_was_told_each_thing_once(server: Server, receiver: Receiver) -> None:
    await until(lambda: "model.end.happened" in receiver.types, 30)
    told = receiver.told(server.home)
    things = Counter((one["type"], one["data"]["at"], one["data"].get("to")) for one in told)
    assert set(things.values()) == {1}
    happened = [one["data"] for one in told if one["type"] == "model.switch.happened"]
    assert [one["to"] for one in happened] == [NEW, OLD, NEW]
    assert happened[0]["notes"] == "Knows <more>."
    assert {"model.switch.announced", "model.end.announced"} <= set(receiver.types)
    [ended] = [one["data"] for one in told if one["type"] == "model.end.happened"]
    assert (ended["model"], ended["replacement"]) == (OLD, ALIAS)
    [user] = ended["users"]
    assert (
        user["requests"] > 0 and user["project"] and user["last_used_at"] == f"{datetime.now(UTC):%Y-%m-%d}"
    )
