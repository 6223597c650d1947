"""Two real gateway processes that count rates on one real Valkey."""

from __future__ import annotations

from pathlib import Path

import aiohttp
from benchmarks.processes import Server, antiphon

from servers import ValkeyServer

LIMIT = 6
SLACK = 2
"""Where this machine is too busy to ask Valkey in time, a process decides alone."""
# By the day, so that nothing flows off while engines start and answers are made.
SETTINGS = {"ANTIPHON_PROCESSES": "2", "ANTIPHON_REQUESTS_PER_DAY": str(LIMIT)}
REQUEST = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}


async def ask(server: Server) -> tuple[int, str, str]:
    """Status, remaining requests and retry advice, over a connection of its own, to whichever process."""
    headers = {"authorization": f"Bearer {server.key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as client,
        client.post(f"{server.url}/chat/completions", json=REQUEST) as response,
    ):
        told = response.headers
        return response.status, told["x-ratelimit-remaining-requests"], told.get("retry-after", "")


async def test_the_limit_is_one_for_all_processes(tmp_path: Path, valkey_server: ValkeyServer) -> None:
    with antiphon(tmp_path, {**SETTINGS, "ANTIPHON_VALKEY": valkey_server.url}) as server:
        answers = [await ask(server) for _ in range(3 * LIMIT)]
        let_in = [status for status, _, _ in answers].count(200)
        assert LIMIT <= let_in <= LIMIT + SLACK, "processes that count alone let in twice as many"
        status, remaining, advice = answers[-1]
        assert (status, remaining) == (429, "0") and int(advice) > 0
        valkey_server.kill()
        alone = [(await ask(server))[0] for _ in range(2 * LIMIT)]
        assert alone[0] == 200, "a Valkey that is gone fails nobody"
        assert set(alone) == {200, 429} and alone.count(200) <= LIMIT, "each process counts its share"
