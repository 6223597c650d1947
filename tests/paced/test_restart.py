"""A restart under load: the socket is handed over, streams end as they would have, and no request fails."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.processes import Server, antiphon

from alone import alone
from antiphon.catalogue.pull import pull
from antiphon.cli import standing
from paced_load import CLIENTS, PROGRAM, Load, asked, client, command
from until import until

SETTINGS = {"PACED": "token_delay=0.02,ready_after=0.5", "ANTIPHON_PROCESSES": "1"}
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[Server]:
    home = alone(tmp_path_factory.mktemp("home"))
    pull(home, str(smollm2), "paced-a-2024-01-01", alias="paced")
    file = home / "models.toml"
    file.write_text(re.sub("(?m)^engine = .*$", 'engine = "llama"', file.read_text()))
    with antiphon(home, SETTINGS, program=PROGRAM) as started:
        yield started


async def test_no_request_fails_over_restarts_and_the_books_are_right(server: Server) -> None:
    """The first restart is the server's own, the second that of what it has become since."""
    async with client(server) as other, Load(server) as load:
        once = {"Idempotency-Key": "restart"}
        kept = (await other.post("/chat/completions", json=asked(3), headers=once)).json()
        served = [server.pid]
        for _ in range(2):
            await load.more()
            # Longer than the new server takes to start: it ends in the old one, long after that was left.
            long = asyncio.create_task(other.post("/chat/completions", json=asked(400, stream=True)))
            await asyncio.sleep(0.2)
            code, said = await command(server, "restart")
            assert code == 0, said
            now = standing.read(server.home)
            assert now is not None and now.pid == server.pid and now.server not in served
            served.append(now.server)
            assert f"process {now.server}" in said
            await load.more()
            response = await long
            assert response.text.count(" word") == 400 and response.text.endswith("[DONE]\n\n")
        again = (await other.post("/chat/completions", json=asked(3), headers=once)).json()
        # Its answer was in the memory of the old server: that it was paid is known to all.
        assert kept["id"] and again["error"]["code"] == "idempotency_result_expired"
    assert load.failures == [] and load.answers > 12 * CLIENTS
    # The one in between is gone once its last request is.
    await until(lambda: not alive(served[1]), 30)
    assert await command(server, "ledger", "verify") == (0, "The books are right.\n")


async def test_a_server_that_cannot_start_changes_nothing(
    server: Server, request: pytest.FixtureRequest
) -> None:
    before = standing.read(server.home)
    assert before is not None
    file = server.home / "antiphon.toml"
    request.addfinalizer(lambda: file.unlink(missing_ok=True))
    async with Load(server) as load:
        await load.more()
        file.write_text("queue_total = 0\n")
        # The command would stumble over it as well: so by the signal, as systemd does it.
        os.kill(before.pid, signal.SIGHUP)
        await until(lambda: (now := standing.read(server.home)) and now.restarts > before.restarts, 60)
        now = standing.read(server.home)
        assert now is not None and "queue_total" in now.problem
        assert now.server == before.server and alive(now.server)
        await load.more()
    assert load.failures == []


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_a_paused_restart_lets_requests_wait(server: Server) -> None:
    async with Load(server) as load:
        await load.more()
        code, said = await command(server, "restart", "--pause", "--json")
        assert code == 0, said
        assert json.loads(said[said.index("{") :])["pid"] == server.pid
        await load.more()
    assert load.failures == []
