"""A switchover under load, and back: no request fails, and none changes its snapshot midway."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from benchmarks.faults import gateway_pids
from benchmarks.processes import Server, antiphon

from alone import alone
from antiphon.catalogue.pull import pull
from until import until

OLD, NEW = "paced-a-2024-01-01", "paced-b-2024-02-01"
ALIAS = "paced"
STREAMS = 32
STEADY = 4
END = "end"
"""A long answer goes on until there is a file of this name, beside the data folder: engines see it there."""
PROGRAM = (sys.executable, str(Path(__file__).parents[1] / "paced_antiphon.py"))
SETTINGS = {
    "ANTIPHON_REQUESTS_PER_MINUTE": "0",
    "ANTIPHON_TOKENS_PER_MINUTE": "0",
    "ANTIPHON_ENGINE_IDLE_SECONDS": "1",
    "ANTIPHON_QUEUE_SECONDS": "2",
}


@pytest.fixture
def home(tmp_path: Path, smollm2: Path) -> Path:
    """A data folder with both snapshots; the alias means the old one."""
    home = alone(tmp_path / "home")
    pull(home, str(smollm2), OLD, alias=ALIAS)
    pull(home, str(smollm2), NEW)
    file = home / "models.toml"
    # The new one is served by nobody until the alias means it; both by paced engines, with room for all.
    text = file.read_text().replace("serve = true\n", "")
    text, engines = re.subn("(?m)^engine = .*$", 'engine = "llama"', text)
    text, slots = re.subn("(?m)^slots = .*$", "slots = 128", text)
    assert engines == slots == 2
    file.write_text(text)
    return home


@pytest.fixture(params=[1, 2], ids=["one process", "two processes"])
def server(request: pytest.FixtureRequest, home: Path) -> Iterator[Server]:
    paced = f"token_delay=0.2,ready_after=1,end_file={home.parent / END}"
    own = {"PACED": paced, "ANTIPHON_PROCESSES": str(request.param)}
    with antiphon(home, SETTINGS | own, program=PROGRAM) as started:
        yield started


def models(server: Server, *words: str) -> str:
    command = [*PROGRAM, "models", *words, "--home", str(server.home)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def streamed(client: openai.AsyncOpenAI) -> str:
    """The only snapshot of a stream; nothing of the stream is missing."""
    stream = await client.chat.completions.create(
        model=ALIAS, messages=[{"role": "user", "content": "x"}], stream=True
    )
    named: set[str] = set()
    text, ended = "", None
    async for chunk in stream:
        named.add(chunk.model)
        text += chunk.choices[0].delta.content or ""
        ended = chunk.choices[0].finish_reason or ended
    assert ended == "stop", "a stream broke off"
    assert text.split() == [f"word{i}" for i in range(text.count("word"))]
    [model] = named
    return model


async def steadily(client: openai.AsyncOpenAI, until: asyncio.Event) -> list[tuple[float, str]]:
    """Asks again and again; when each began, and who answered."""
    found = []
    while not until.is_set():
        began = time.monotonic()
        answer = await client.chat.completions.create(
            model=ALIAS, messages=[{"role": "user", "content": "x"}], max_tokens=2
        )
        found.append((began, answer.model))
    return found


async def switched(client: openai.AsyncOpenAI, to: str) -> None:
    async with asyncio.timeout(60):
        while (await client.models.retrieve(ALIAS)).model_extra["alias_of"] != to:  # type: ignore[index]
            await asyncio.sleep(0.1)


async def test_nobody_notices(server: Server) -> None:
    over = asyncio.Event()
    async with openai.AsyncOpenAI(
        base_url=server.url, api_key=server.key, max_retries=0, timeout=120
    ) as client:
        streams = [asyncio.create_task(streamed(client)) for _ in range(STREAMS)]
        steady = [asyncio.create_task(steadily(client, over)) for _ in range(STEADY)]
        await asyncio.sleep(1)
        await asyncio.to_thread(models, server, "switch", ALIAS, NEW)
        await switched(client, NEW)
        await asyncio.sleep(2)
        assert not any(task.done() for task in [*streams, *steady]), "something failed"
        (server.home.parent / END).touch()
        assert await asyncio.gather(*streams) == [OLD] * STREAMS
        await asyncio.to_thread(models, server, "rollback", ALIAS)
        await switched(client, OLD)
        await asyncio.sleep(2)
        over.set()
        found = sorted(one for answers in await asyncio.gather(*steady) for one in answers)
    order = [model for _, model in found]
    assert Counter(order).keys() == {OLD, NEW}
    assert order[0] == OLD and order[-1] == OLD
    # Processes move at their own moment: a few requests may cross.
    middle = order[order.index(NEW) : len(order) - order[::-1].index(NEW)]
    assert Counter(middle)[NEW] > len(middle) / 2


async def means(client: openai.AsyncOpenAI) -> str:
    messages: Any = [{"role": "user", "content": "x"}]
    return (await client.chat.completions.create(model=ALIAS, messages=messages, max_tokens=2)).model


async def test_while_the_new_one_never_becomes_ready_the_old_one_serves(home: Path) -> None:
    """However long nobody asks, and though the processes that take requests are others."""
    own = {"PACED_ENDS": NEW, "ANTIPHON_PROCESSES": "2"}
    with antiphon(home, SETTINGS | own, program=PROGRAM) as server:
        async with openai.AsyncOpenAI(
            base_url=server.url, api_key=server.key, max_retries=0, default_headers={"Connection": "close"}
        ) as client:
            await asyncio.to_thread(models, server, "switch", ALIAS, NEW)
            await asyncio.sleep(10)  # an engine on demand would have ended
            assert {await means(client) for _ in range(10)} == {OLD}
            before = gateway_pids(server)
            for gateway in before:
                os.kill(gateway, signal.SIGKILL)
            await asyncio.sleep(1)  # until they are gone
            await until(lambda: len(gateway_pids(server) - before) == len(before), 30)
            assert {await means(client) for _ in range(10)} == {OLD}
