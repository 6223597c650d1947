"""`antiphon dedicated tune` on paced engines: what it recommends is right, and applied; what it changed for
the time is as before."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import openai
import pytest
from benchmarks.processes import Server, antiphon

from alone import alone
from antiphon.catalogue.instances import Instance
from antiphon.catalogue.pull import pull
from antiphon.cli.administration import House, opened_house
from antiphon.ledger import measurements, workload
from antiphon.ledger.workload import Shape
from antiphon.operations.orders import Order

SNAPSHOT = "paced-2024-01-01"
PROGRAM = (sys.executable, str(Path(__file__).parents[1] / "paced_antiphon.py"))
TOKENS = 10
"""Of an answer: 0.4 s alone, and 0.2 s more for each other request."""
SETTINGS = {"PACED": "token_delay=0.04,crowd_delay=0.02", "ANTIPHON_ENGINE_IDLE_SECONDS": "1"}
DEADLINE = 120


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("tuning") / "home"
    pull(alone(home), str(smollm2), SNAPSHOT)
    file = home / "models.toml"
    engines = 'engine = ["openvino", "llama"]\nslots = { openvino = 32, llama = 4 }'
    assert engines in file.read_text()
    file.write_text(file.read_text().replace(engines, 'engine = "llama"\nslots = 4'))
    with antiphon(home, SETTINGS, program=PROGRAM) as started:
        yield started


@pytest.fixture
async def house(server: Server) -> AsyncIterator[House]:
    async with opened_house(str(server.home), "default") as opened:
        yield opened


@pytest.fixture
async def instance(house: House) -> AsyncIterator[str]:
    """One with a load of 2, whose requests spill over."""
    made = await house.dedicated.create(
        house.organization_id, Order(model=SNAPSHOT, load=2, price=1, spill_over=True), by=None
    )
    async with asyncio.timeout(DEADLINE):
        while not (await house.dedicated.get(house.organization_id, made.id)).ready:
            await asyncio.sleep(0.1)
    yield made.id
    await house.dedicated.end(house.organization_id, made.id, by=None)


async def state(house: House, id: str) -> Instance:
    return (await house.dedicated.get(house.organization_id, id)).instance


async def keys(house: House) -> list[str]:
    """Those that count, by id."""
    return [key.id for key in (await house.access.keys.list(None)).data]


def command(server: Server, id: str, *words: str) -> list[str]:
    options = ["--home", str(server.home), "--base-url", server.url, "--json"]
    return [*PROGRAM, "dedicated", "tune", id, *words, *options]


async def tuned(server: Server, id: str, *words: str, code: int = 0) -> Any:
    run = partial(subprocess.run, capture_output=True, text=True, timeout=DEADLINE)
    done = await asyncio.to_thread(run, command(server, id, *words))
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


async def books(house: House) -> list[Shape]:
    """The lengths of what was asked, as the books have them."""
    read = partial(workload.shapes, since=0, limit=99)
    async with house.database.connect() as connection:
        return await connection.run_sync(read, house.organization_id, SNAPSHOT)


async def ask(server: Server, house: House) -> list[Shape]:
    """A few requests; their lengths, once they are in the books."""
    async with openai.AsyncOpenAI(base_url=server.url, api_key=server.key) as client:
        for words in (100, 200, 300):
            await client.chat.completions.create(
                model=SNAPSHOT, messages=[{"role": "user", "content": "x" * words}], max_tokens=TOKENS
            )
    async with asyncio.timeout(DEADLINE):
        while len(found := await books(house)) < 3:
            await asyncio.sleep(0.1)
    return found


async def test_it_recommends_what_carries_most_in_time(
    server: Server, house: House, instance: str, tmp_path: Path
) -> None:
    asked = await ask(server, house)
    png = tmp_path / "chart.png"
    before = await keys(house)
    words = ("--loads", "1,2,4,8", "--requests", "3", "--latency", "1.5", "--png", str(png))
    found = await tuned(server, instance, *words)
    mean = sum(shape.prompt for shape in asked) / 3
    assert found["mix"] == {
        "source": "ledger", "requests": 3, "prompt_tokens": mean, "answer_tokens": TOKENS
    }  # fmt: skip
    levels = found["levels"]
    assert [(level["load"], level["failed"]) for level in levels] == [(1, 0), (2, 0), (4, 0), (8, 0)]
    assert all(abs(level["prompt_tokens"] - mean) < 60 for level in levels)
    one, two, four, _ = (level["written"] for level in levels)
    assert one < two < four, "more at once is more in all"
    # An answer takes 0.4, 0.6, 1 and 1.8 seconds.
    p99 = [level["answer"]["p99"] for level in levels]
    assert p99[0] >= 0.4 and p99[2] <= 1.5 < p99[3]
    assert (found["recommended"], found["load"]) == (4, 4)
    after = await state(house, instance)
    assert (after.load, after.spill_over) == (4, True)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert await keys(house) == before
    # It is kept for advice, and its own requests are nobody's use.
    async with house.database.connect() as connection:
        kept = await connection.run_sync(measurements.latest, house.organization_id, SNAPSHOT)
    assert kept is not None and [level.load for level in kept.levels] == [1, 2, 4, 8]
    assert await books(house) == asked


async def test_what_no_load_keeps_changes_nothing(server: Server, house: House, instance: str) -> None:
    words = ("--loads", "1,4", "--requests", "1", "--latency", "0.01")
    found = await tuned(server, instance, *words, code=1)
    assert (found["recommended"], found["load"]) == (None, 2)
    after = await state(house, instance)
    assert (after.load, after.spill_over) == (2, True)


async def test_control_c_gives_it_back_its_load(server: Server, house: House, instance: str) -> None:
    before = await keys(house)
    words = command(server, instance, "--loads", "1,8", "--latency", "9")
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(DEADLINE):
            while (during := await state(house, instance)).load != 8:
                assert process.returncode is None
                await asyncio.sleep(0.1)
            assert during.spill_over is False
            process.send_signal(signal.SIGINT)
            told, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 130, complaint
    shown = json.loads(told)
    assert shown["interrupted"] is True and (shown["recommended"], shown["load"]) == (None, 2)
    after = await state(house, instance)
    assert (after.load, after.spill_over) == (2, True)
    assert await keys(house) == before
