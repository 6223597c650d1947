"""The harness as a process of its own."""

from __future__ import annotations

import asyncio
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

PROGRAM = """
import sys, tempfile
from starlette.responses import Response
from starlette.routing import Route
from antiphon.address import listening
from antiphon.errors import EngineFailed, TooLarge
from antiphon.workers.serve import application, serve

broken = False

async def fail(request):
    raise {"known": TooLarge("Too large."), "unknown": ValueError("secret")}[request.query_params["how"]]

async def slow(request):
    print("began", flush=True)
    return Response(await request.body())

async def break_down(request):
    global broken
    broken = True
    return Response(tempfile.gettempdir())

def check():
    if broken:
        raise EngineFailed("It stands still.")
    return {"one", "another"}

routes = [Route("/fail", fail), Route("/slow", slow, methods=["POST"]), Route("/break", break_down)]
serve(application(routes, check), listening(sys.argv[1]))
"""


HEALTHY = {"status": "ok", "unusable": ["another", "one"]}


@asynccontextmanager
async def process(path: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, aiohttp.ClientSession]]:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        f"unix:{path}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with aiohttp.ClientSession(
            "http://engine", connector=aiohttp.UnixConnector(str(path))
        ) as session:
            for _ in range(400):
                if await _answers(session):
                    break
                await asyncio.sleep(0.05)
            yield child, session
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def _answers(session: aiohttp.ClientSession) -> bool:
    try:
        async with session.get("/health") as response:
            return response.status == 200 and await response.json() == HEALTHY
    except aiohttp.ClientConnectorError:
        return False


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "engine.sock"


@pytest.mark.requirement("R16")
async def test_it_answers_on_a_private_socket_and_with_envelopes(path: Path) -> None:
    async with process(path) as (child, session):
        found = await asyncio.to_thread(path.stat)
        assert stat.S_IMODE(found.st_mode) & 0o077 == 0
        for address, status, code in (
            ("/fail?how=known", 413, None),
            ("/fail?how=unknown", 500, "internal_error"),
            ("/nowhere", 404, None),
            ("/slow", 405, "method_not_supported"),
        ):
            async with session.get(address) as response:
                body = await response.json()
                assert response.status == status, address
                assert set(body["error"]) == {"message", "type", "param", "code"}
                assert body["error"]["code"] == code
                assert "secret" not in body["error"]["message"]
        child.terminate()
        assert child.stderr is not None
        log = (await child.stderr.read()).decode()
        assert "ValueError" in log and "secret" not in log


async def test_health_tells_of_a_loop_that_stands_still_and_uploads_lie_by_the_socket(path: Path) -> None:
    async with process(path) as (_, session):
        async with session.get("/break") as response:
            assert await response.text() == str(path.parent)
        async with session.get("/health") as response:
            assert response.status == 503
            assert (await response.json())["error"]["code"] == "engine_failed"


async def test_sigterm_ends_it_after_the_running_request(path: Path) -> None:
    more, body = asyncio.Event(), b"first and last"

    async def halves() -> AsyncIterator[bytes]:
        yield body[:5]
        await more.wait()
        yield body[5:]

    async with process(path) as (child, session), asyncio.timeout(20):
        request = asyncio.create_task(session.post("/slow", data=halves()).__aenter__())
        assert child.stdout is not None
        assert await child.stdout.readline() == b"began\n"
        child.send_signal(signal.SIGTERM)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(child.wait(), 0.3)
        more.set()
        response = await request
        assert await response.read() == body
        assert await child.wait() == 0
        assert not await asyncio.to_thread(path.exists)
