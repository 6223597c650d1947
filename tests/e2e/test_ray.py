"""Engines on a real Ray cluster of three nodes, of which one is lost under load, and then the head."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from benchmarks.faults import served, session, until
from benchmarks.processes import antiphon
from benchmarks.streams import Stream

from ray_cluster import RayCluster, ray_cluster

CHAT, SPEECH = "smollm2-135m-instruct-2024-11-01", "whisper-base-2022-09-21"
PACED = (sys.executable, str(Path(__file__).parents[1] / "paced_antiphon.py"))
SOON = 10.0
"""In which new requests are to be served after the loss of a node."""
REPLACED = 90.0
SETTINGS = {"ANTIPHON_RUNTIME": "ray", "ANTIPHON_REQUESTS_PER_MINUTE": "0", "ANTIPHON_TOKENS_PER_MINUTE": "0"}
TWO_OF_EACH = f"""
[snapshots."{CHAT}"]
engine = "llama"
slots = 8
replicas = 2
needs = {{ cpus = 1 }}

[snapshots."{SPEECH}"]
slots = 8
replicas = 2
needs = {{ cpus = 1 }}
"""
ONE_OR_TWO = f"""
[snapshots."{CHAT}"]
engine = "llama"
slots = 4
replicas = {{ least = 1, most = 2 }}
needs = {{ cpus = 2 }}

[aliases]
"whisper-1" = false
"""

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """A head, which takes no engines; nodes are added by tests."""
    with ray_cluster() as started:
        yield started


@pytest.fixture(scope="module")
def nodes(cluster: RayCluster) -> list[Any]:
    return [cluster.add(cpus=2), cluster.add(cpus=2)]


@pytest.fixture
def recording(recordings: Path) -> bytes:
    return (recordings / "en_pyroomacoustics_cmu_arctic_us_aew_a0003.wav").read_bytes()


@pytest.fixture
def serve(cluster: RayCluster, nodes: list[Any], tmp_path: Path) -> Callable[..., Any]:
    def start(models: str, **options: Any) -> Any:
        while len(nodes) < 2:
            nodes.append(cluster.add(cpus=2))
        home = tmp_path / "home"
        home.mkdir()
        (home / "models.toml").write_text(models)
        more = options.pop("settings", {})
        settings = SETTINGS | {"ANTIPHON_RAY_ADDRESS": cluster.address} | more
        return antiphon(home, settings, **options)

    return start


async def places(client: aiohttp.ClientSession, snapshot: str) -> int:
    """Requests that the ready engines of a snapshot serve at once."""
    async with client.get("/metrics") as response:
        found = re.search(rf'antiphon_engine_slots{{.*"{snapshot}"}} (.*)', await response.text())
    return int(float(found[1])) if found else 0


async def have(client: aiohttp.ClientSession, chat: int, speech: int) -> bool:
    return (await places(client, CHAT), await places(client, SPEECH)) == (chat, speech)


def engines() -> dict[str, list[psutil.Process]]:
    """The engine processes on this machine's nodes, by their modules."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            command = process.cmdline()
            if "--listen" in command and (process.parent() or process).name().startswith("ray::"):
                found.setdefault(command[2], []).append(process)
    return found


async def heard(client: aiohttp.ClientSession, recording: bytes) -> tuple[int, str]:
    form = aiohttp.FormData({"model": "whisper-1"})
    form.add_field("file", recording, filename="recording.wav")
    async with client.post("audio/transcriptions", data=form) as response:
        return response.status, await response.text()


async def hears(client: aiohttp.ClientSession, recording: bytes) -> bool:
    status, text = await heard(client, recording)
    return status == 200 and "hands" in text


async def hearing(
    client: aiohttp.ClientSession, recording: bytes, over: asyncio.Event
) -> list[tuple[int, str]]:
    """One recording after another."""
    found = []
    while not over.is_set():
        found.append(await heard(client, recording))
    return found


async def begun(streams: list[Stream]) -> bool:
    return all(stream.pieces for stream in streams)


def verified(home: Path) -> str:
    command = [Path(sys.executable).with_name("antiphon"), "ledger", "verify", "--home", home]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


async def test_the_loss_of_a_node_costs_the_requests_it_had_and_nothing_else(
    serve: Callable[..., Any], cluster: RayCluster, nodes: list[Any], recording: bytes
) -> None:
    with serve(TWO_OF_EACH) as server:
        async with session(server) as client:
            await until(lambda: have(client, 16, 16), REPLACED)
            assert {len(replicas) for replicas in engines().values()} == {2}
            streams, over = [Stream(150) for _ in range(12)], asyncio.Event()
            reading = [asyncio.create_task(stream.read(client)) for stream in streams]
            transcribing = [asyncio.create_task(hearing(client, recording, over)) for _ in range(4)]
            await until(lambda: begun(streams), 60)

            over.set()  # what comes now is to be new
            cluster.kill(nodes.pop())
            lost = time.monotonic()
            await until(lambda: served(client), SOON)
            await until(lambda: hears(client, recording), SOON)
            assert time.monotonic() - lost < SOON

            await asyncio.wait_for(asyncio.gather(*reading), 120)
            ends = sorted(stream.end for stream in streams)
            # The engine that is left goes on with those that it has room for.
            assert set(ends) <= {"failed", "whole"} and "whole" in ends, streams
            assert {stream.code for stream in streams if stream.end == "failed"} <= {"engine_failed"}
            assert all(s.usage and s.usage[1] == s.tokens for s in streams if s.end == "whole")
            answers = [answer for told in await asyncio.gather(*transcribing) for answer in told]
            assert all(status == 200 or '"engine_failed"' in text for status, text in answers), answers
            await until(lambda: have(client, 8, 8), SOON)

            nodes.append(cluster.add(cpus=2))
            await until(lambda: have(client, 16, 16), REPLACED)
        assert "The books are right." in verified(server.home)
        running = [process for replicas in engines().values() for process in replicas]
        assert len(running) == 4
    _, alive = psutil.wait_procs(running, SOON)
    assert not alive, "the server ends its engines on every node"
    assert "The books are right." in verified(server.home)


async def test_replicas_come_as_requests_wait(serve: Callable[..., Any]) -> None:
    with serve(ONE_OR_TWO, program=PACED, settings={"PACED": "token_delay=0.05"}) as server:
        async with session(server) as client:
            assert await places(client, CHAT) == 4
            streams = [Stream(300) for _ in range(8)]
            reading = [asyncio.create_task(stream.read(client)) for stream in streams]
            assert await until(lambda: has(client, 8), REPLACED) > 0
            await until(lambda: begun(streams), SOON)
            await asyncio.gather(*reading)
            assert {stream.end for stream in streams} == {"whole"}
    assert not engines()


async def has(client: aiohttp.ClientSession, chat: int) -> bool:
    return await places(client, CHAT) == chat


async def test_the_loss_of_the_head_costs_no_request(serve: Callable[..., Any], cluster: RayCluster) -> None:
    """The last test here: it leaves no cluster. Without a head the nodes go on for a minute."""
    with serve(ONE_OR_TWO, program=PACED, settings={"PACED": "token_delay=0.05"}) as server:
        async with session(server) as client:
            streams = [Stream(200), Stream(200), Stream(200)]
            reading = [asyncio.create_task(stream.read(client)) for stream in streams]
            await until(lambda: begun(streams), SOON)
            cluster.kill_head()
            assert await served(client)
            await asyncio.gather(*reading)
            assert {stream.end for stream in streams} == {"whole"}
            assert await served(client)
    assert "raylet" not in server.log.read_text(), "what Ray prints about itself is not for the operator"
    assert "The books are right." in verified(server.home)
