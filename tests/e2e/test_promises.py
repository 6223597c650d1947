"""What is promised of monitoring, uptime and copies, shown on one whole server with its real engines.

The tests tell one story, in their order: a request is flagged, its organization suspended and resumed; an
engine dies and the status page says so; a restart that nobody notices; a copy that goes on elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from benchmarks.faults import ask, busy_slots, engine_pid, served, session, until
from benchmarks.processes import Server, antiphon
from sqlalchemy import Connection, text

from antiphon.settings import DATABASE_NAME
from antiphon.status import counting
from antiphon.storage.database import Database

PROGRAM = str(Path(sys.executable).with_name("antiphon"))
SAID = "I want to kill myself"
SOON = 30.0
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with antiphon(tmp_path_factory.mktemp("promises"), {"ANTIPHON_PROBE_SECONDS": "2"}) as started:
        yield started


def command(home: Path, *words: str) -> str:
    """What a command beside the running server prints; it must succeed."""
    environment = {**os.environ, "ANTIPHON_HOME": str(home)}
    done = subprocess.run([PROGRAM, *words], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


async def beside(home: Path, *words: str) -> str:
    return await asyncio.to_thread(command, home, *words)


async def say(client: aiohttp.ClientSession, content: str, **fields: Any) -> tuple[int, Any]:
    status, answer = await ask(
        client, messages=[{"role": "user", "content": content}], max_tokens=4, **fields
    )
    return status, json.loads(answer)


async def got(server: Server, path: str, key: str = "") -> Any:
    headers = {"authorization": f"Bearer {key or server.key}"}
    async with aiohttp.ClientSession() as client, client.get(server.root + path, headers=headers) as answer:
        found = await answer.text()
        assert answer.status == 200, found
        return json.loads(found) if "json" in answer.content_type else found


async def probed(server: Server, good: bool) -> bool:
    """Whether the last probes of chat and of speech are there, and that of chat is so."""
    last = {api["name"]: api["probe"] for api in (await got(server, "/status.json"))["apis"]}
    return bool(last.get("chat") and last.get("speech")) and last["chat"]["good"] is good


async def test_a_flag_suspends_with_its_evidence_and_is_lifted_again(server: Server) -> None:
    set_to = ("--category", "self-harm/intent", "--action", "suspend", "--at", "0.5")
    await beside(server.home, "moderation", "thresholds", "--org", "default", *set_to)
    admin = await beside(server.home, "keys", "create", "--admin", "--json")
    async with session(server) as client:

        async def refused() -> bool:
            status, answer = await say(client, "Hello")
            return status == 403 and answer["error"]["code"] == "organization_suspended"

        assert (await say(client, SAID))[0] == 200
        await until(refused, SOON)
        # Its administration stays open: its owners see why, with the words, while these are kept.
        key = json.loads(admin)["value"]
        flags = (await got(server, "/v1/organization/flags", key))["data"]
        [flag] = [one for one in flags if one["action"] == "suspend"]
        assert flag["category"] == "self-harm/intent"
        path = f"/v1/organization/flags/{flag['id']}/evidence"

        async def shown() -> bool:  # content is written in batches
            return SAID in ((await got(server, path, key))["text"] or "")

        await until(shown, SOON)
        listed = json.loads(await beside(server.home, "flags", "list", "--json"))
        assert flag["id"] in {one["id"] for one in listed}
        # What the small model says after that may be anything, and is not to suspend anybody.
        await beside(server.home, "moderation", "thresholds", "--org", "default", "--reset")
        await beside(server.home, "flags", "resolve", flag["id"], "dismissed")
        await until(lambda: served(client), SOON)


async def test_probes_tell_of_an_engine_that_dies_and_an_incident_opens(server: Server) -> None:
    await until(lambda: probed(server, good=True), SOON)
    async with session(server) as client:

        async def noticed() -> bool:
            running = [asyncio.create_task(ask(client, stream=True)) for _ in range(4)]
            await until(lambda: busy(server), SOON)
            os.kill(engine_pid(server), signal.SIGKILL)
            await asyncio.gather(*running)
            return await probed(server, good=False)

        await until(noticed, 2 * SOON)
        await until(lambda: served(client), SOON)
    await until(lambda: probed(server, good=True), SOON)
    # What was counted now, as if it had been so for some minutes: an alert looks at several.
    async with Database(f"sqlite+aiosqlite:///{server.home / DATABASE_NAME}") as database:
        await database.run(as_if_longer)


async def busy(server: Server) -> bool:
    try:
        return await busy_slots(server) > 0
    except (aiohttp.ClientError, RuntimeError):  # it is started anew
        return False


def as_if_longer(connection: Connection) -> None:
    begin = int(time.time()) // 60 * 60
    query = "select coalesce(sum(good), 0), sum(bad) from status_minute where api = 'chat'"
    good, bad = connection.execute(text(query)).one()
    assert bad, "the failures are counted"
    counts = {("chat", begin - 60 * back): (0, bad) for back in range(1, 7)}
    counting.write(connection, counts | {(counting.SERVICE, minute): (1, 0) for _, minute in counts})
    first = "update status_mark set at = :at where name = 'since/chat'"
    connection.execute(text(first), {"at": begin - 60 * 6})


async def test_no_request_fails_over_a_restart_and_the_incident_is_there_after_it(server: Server) -> None:
    answers: list[int] = []
    ended = asyncio.Event()
    async with session(server) as client:

        async def steadily() -> None:
            while not ended.is_set():
                answers.append((await say(client, "Hello"))[0])

        streams = [asyncio.create_task(ask(client, stream=True, max_tokens=300)) for _ in range(2)]
        clients = [asyncio.create_task(steadily()) for _ in range(2)]
        await beside(server.home, "restart")
        before = len(answers)
        await until(lambda: grown(answers, before + 6), SOON)
        ended.set()
        await asyncio.gather(*clients)
        for status, answer in await asyncio.gather(*streams):
            assert status == 200 and answer.endswith("data: [DONE]\n\n"), answer[-300:]
    assert set(answers) == {200}

    async def opened() -> bool:
        return bool((await got(server, "/status.json"))["incidents"])

    await until(opened, 3 * SOON)
    [incident] = (await got(server, "/status.json"))["incidents"]
    assert (incident["kind"], incident["api"], incident["resolved_at"]) == ("alert", "chat", None)
    assert incident["title"] in await got(server, "/status")


async def grown(answers: list[int], wanted: int) -> bool:
    return len(answers) >= wanted


async def test_a_copy_in_an_empty_folder_goes_on_with_everything(server: Server, tmp_path: Path) -> None:
    async with session(server) as client:
        status, stored = await say(client, "Remember this", store=True, metadata={"a": "b"})
        assert status == 200
        await asyncio.sleep(1.5)  # rollups follow the journal
    made = json.loads(await beside(server.home, "backup", str(tmp_path / "copies"), "--json"))
    fresh = tmp_path / "fresh"
    await beside(fresh, "restore", made["data"])
    usage = ("usage", "--json", "--org", "default")
    assert await beside(fresh, *usage) == await beside(server.home, *usage)
    incidents = ("status", "incidents", "list", "--json")
    assert json.loads(await beside(fresh, *incidents)) == json.loads(await beside(server.home, *incidents))
    with antiphon(fresh, key=server.key) as again:
        path = f"/v1/chat/completions/{stored['id']}"
        assert await got(again, path) == await got(server, path)
        assert (await got(again, path))["metadata"] == {"a": "b"}
        messages = (await got(again, f"{path}/messages"))["data"]
        assert [one["content"] for one in messages] == ["Remember this"]
        async with session(again) as client:
            assert await served(client)
        assert await beside(fresh, "ledger", "verify") == "The books are right."
