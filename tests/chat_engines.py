"""Chat engines of every kind as processes with the bundled model, and answers of them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

from addresses import unix
from antiphon.address import SECRET, Address
from antiphon.engines import llama
from antiphon.engines.base import ChatEngine, EngineKind
from antiphon.engines.openai import OpenAIEngine
from antiphon.engines.upstream import Upstream
from antiphon.errors import EngineFailed
from antiphon.runtime.local import environment
from antiphon.settings import Settings
from antiphon.values import ChatJob, Delta, Deployment, Message, Site, Usage
from servers import free_port

START_SECONDS = 60.0


def deployment(kind: str, model: Path, prepared: Path | None, **given: Any) -> Deployment:
    return Deployment(
        snapshot="m",
        task="chat",
        engine=kind,
        model=model,
        prepared=prepared,
        options={"template": "smollm2"},
        **{"context": 2048, "slots": 4, **given},
    )


@asynccontextmanager
async def running(
    kind: EngineKind, served: Deployment, settings: Settings | None = None, seconds: float = START_SECONDS
) -> AsyncIterator[tuple[ChatEngine, Path]]:
    """A client of a process that was started for the block, once it answers, and its socket."""
    settings = settings or Settings()
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "s.sock"
        command = kind.command([served], settings, unix(socket))
        process = await asyncio.create_subprocess_exec(
            *command, start_new_session=True, env=environment(Path(folder))
        )
        engine = cast(ChatEngine, kind.connect([served], settings, unix(socket)))
        try:
            async with asyncio.timeout(seconds):
                while not await _answers(engine):
                    assert process.returncode is None, "the engine ended"
                    await asyncio.sleep(0.05)
            yield engine, socket
        finally:
            await engine.close()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with what it started itself
            await process.wait()


@asynccontextmanager
async def elsewhere(model: Path) -> AsyncIterator[ChatEngine]:
    """A client of llama.cpp's own server, as of one that others run and that is reached at a URL."""
    address = Address(host="127.0.0.1", port=free_port(), secret="sk-elsewhere", base="/v1")
    command = llama.command([deployment("llama", model, None)], Settings(), address)
    with tempfile.TemporaryDirectory() as folder:
        told = environment(Path(folder)) | {SECRET: address.secret}
        process = await asyncio.create_subprocess_exec(*command, start_new_session=True, env=told)
        server = Upstream(address)
        try:
            async with asyncio.timeout(START_SECONDS):
                while (name := await _listed(server)) is None:
                    assert process.returncode is None, "the server ended"
                    await asyncio.sleep(0.05)
            site = Site((f"http://{address.authority}/v1",), name)
            engine = OpenAIEngine(deployment("openai", model, None, site=site), address)
            await engine.probe()
            yield engine
            await engine.close()
        finally:
            await server.close()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _listed(server: Upstream) -> str | None:
    try:
        return str(json.loads(await server.get("/v1/models"))["data"][0]["id"])
    except EngineFailed:
        return None


async def _answers(engine: ChatEngine) -> bool:
    try:
        await engine.probe()
    except EngineFailed:
        return False
    return True


def job(text: str = "What is the capital of France?", **given: Any) -> ChatJob:
    messages = given.pop("messages", (Message(role="user", content=text),))
    return ChatJob(id="1", model="m", messages=messages, **{"max_tokens": 20, "temperature": 0.0, **given})


async def answer(engine: ChatEngine, asked: ChatJob) -> tuple[list[Delta], Usage]:
    """All pieces of an answer, and its usage."""
    prompt = await engine.prepare(asked.messages, asked.functions)
    async with aclosing(engine.chat(asked, prompt)) as pieces:
        *deltas, usage = [piece async for piece in pieces]
    assert isinstance(usage, Usage)
    return [piece for piece in deltas if isinstance(piece, Delta)], usage


def text(deltas: list[Delta], index: int = 0) -> str:
    return "".join(delta.text for delta in deltas if delta.index == index)
