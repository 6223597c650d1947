"""What keeping the content of requests costs them: python -m benchmarks.keeping

The API with scripted engines on this machine, in turns: with the keeper, with an observer that does nothing,
and with none; then the keeper alone.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from antiphon.privacy.content import Content
from antiphon.privacy.keeper import Keeper, keeping
from antiphon.privacy.keys import opened_keys
from antiphon.privacy.places import Folder
from antiphon.settings import Settings
from antiphon.storage.database import Database
from antiphon.values import Caller, Observation
from service import CALLER, Service, serving

REQUESTS = 1000
AT_ONCE = 16
ROUNDS = 3
WAYS = ("kept", "watched", "neither")
PROMPT = "word " * 400


async def main() -> None:
    waits, rates, processor = ({name: list[float]() for name in WAYS} for _ in range(3))
    for name in WAYS * ROUNDS:
        with tempfile.TemporaryDirectory() as home:
            async with AsyncExitStack() as stack:
                keeper = await stack.enter_async_context(_keeping(Path(home)))
                observers = {"kept": [keeper], "watched": [_Nothing()], "neither": []}[name]
                service = await stack.enter_async_context(
                    serving(Path(home), capacity=AT_ONCE, observers=observers, requests_per_minute=0)
                )
                began, used = time.perf_counter(), time.process_time()
                waits[name] += await asked(service)
                await keeper.flush()
                assert not keeper.dropped.total()
                rates[name].append(REQUESTS / (time.perf_counter() - began))
                processor[name].append((time.process_time() - used) / REQUESTS)
    print(f"{REQUESTS} chats of {len(PROMPT)} bytes, {AT_ONCE} at once, {ROUNDS} rounds in turns; medians")
    print(f"{'':10}{'p50 ms':>10}{'p99 ms':>10}{'requests/s':>12}{'CPU ms':>10}   (client included)")
    for name, found in waits.items():
        cuts = statistics.quantiles(found, n=100)
        rate, spent = statistics.median(rates[name]), statistics.median(processor[name])
        print(f"{name:10}{cuts[49] * 1e3:10.2f}{cuts[98] * 1e3:10.2f}{rate:12.0f}{spent * 1e3:10.3f}")
    await alone()


async def asked(service: Service) -> list[float]:
    """The seconds that each of the requests took."""
    found: list[float] = []
    left = iter(range(REQUESTS))

    async def one() -> None:
        for _ in left:
            began = time.perf_counter()
            status, _, _ = await service.chat(messages=[{"role": "user", "content": PROMPT}])
            assert status == 200
            found.append(time.perf_counter() - began)

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return found


async def alone() -> None:
    """The keeper without any requests: on the event loop, and in all."""
    with tempfile.TemporaryDirectory() as home:
        async with serving(Path(home)), _keeping(Path(home)) as keeper:
            seen = Observation(
                request_id="req_1",
                caller=Caller(**{name: getattr(CALLER, name) for name in CALLER.__struct_fields__}),
                kind="chat",
                snapshot="tiny",
                asked=PROMPT.encode(),
                answered=PROMPT.encode(),
                whole=True,
                began_at=time.time(),
            )
            began = time.perf_counter()
            for _ in range(1900):
                keeper.observe(seen)
            noted = time.perf_counter() - began
            used = time.process_time()
            await keeper.flush()
            took = time.perf_counter() - began
            spent = time.process_time() - used
            assert not keeper.dropped.total()
    print(f"to note one: {noted / 1900 * 1e6:.1f} µs on the event loop")
    print(
        f"to write one, 256 at a time: {took / 1900 * 1e6:.0f} µs, {spent / 1900 * 1e6:.0f} µs of a processor"
    )


class _Nothing:
    """An observer that has everything put together, and does nothing with it."""

    def wants(self, caller: Caller) -> bool:
        return True

    def observe(self, seen: Observation) -> None:
        return None


class _keeping:
    """A keeper over the database that `serving` makes in the same folder."""

    def __init__(self, home: Path) -> None:
        self._settings = Settings(home=str(home))
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Keeper:
        database = await self._stack.enter_async_context(Database(self._settings.database_url))
        keys = await self._stack.enter_async_context(opened_keys(self._settings, database))
        return await self._stack.enter_async_context(
            keeping(Content(database, keys, Folder(self._settings.home_path)))
        )

    async def __aexit__(self, *failure: object) -> None:
        await self._stack.aclose()


if __name__ == "__main__":
    asyncio.run(main())
