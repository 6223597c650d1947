"""Counting on a real Valkey: what several processes share, and what happens when it is away."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator

import pytest

import servers
from antiphon.admission.counters import Ask, Decision
from antiphon.admission.gate import Gate
from antiphon.admission.limits import Demand, Limits
from antiphon.admission.memory import Memory
from antiphon.admission.valkey import LEASE_SECONDS, SECONDS, Valkey
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings
from antiphon.values import Caller
from until import until

CANCELLATIONS = 500
PATIENT = 10.0
"""Seconds: however busy the machine is, Valkey decides."""


def counting(
    server: servers.ValkeyServer, *, seconds: float = PATIENT, lease: float = LEASE_SECONDS
) -> Valkey:
    """What one of two gateway processes has."""
    return Valkey(server.url, Memory(2), seconds=seconds, lease=lease)


@pytest.fixture
async def counters(valkey_server: servers.ValkeyServer) -> AsyncIterator[Valkey]:
    async with counting(valkey_server) as counters:
        yield counters


@pytest.fixture
async def impatient(valkey_server: servers.ValkeyServer) -> AsyncIterator[Valkey]:
    """As gateways use it."""
    async with counting(valkey_server, seconds=SECONDS) as counters:
        yield counters


async def ask(counters: Valkey, key: str = "p/m", place: str = "", **limits: int) -> Decision:
    return await counters.ask(Ask(key=key, limits=Limits(**limits), demand=Demand(tokens=1), place=place))


async def test_processes_share_every_limit(valkey_server: servers.ValkeyServer) -> None:
    async with counting(valkey_server) as one, counting(valkey_server) as other:
        taken = [(await ask(process, requests_per_day=3)).taken for process in (one, other, one, other)]
        assert taken == [True, True, True, False]
        assert (await ask(one, key="q", place="1", concurrent_requests=1)).taken
        assert (await ask(other, key="q", place="2", concurrent_requests=1)).crowded
        await one.leave("q", "1")
        assert (await ask(other, key="q", place="3", concurrent_requests=1)).taken


async def test_the_limit_holds_when_everybody_asks_at_once(valkey_server: servers.ValkeyServer) -> None:
    async with counting(valkey_server) as one, counting(valkey_server) as other:
        answers = await asyncio.gather(*(ask((one, other)[n % 2], requests_per_day=50) for n in range(100)))
        assert {answer.by for answer in answers} == {one, other}
        assert sum(answer.taken for answer in answers) == 50


async def test_the_clock_is_that_of_valkey(valkey_server: servers.ValkeyServer) -> None:
    """Processes whose own clocks are an hour apart agree on a rate."""
    early = Valkey(valkey_server.url, Memory(), seconds=PATIENT, monotonic=lambda: time.monotonic() - 3600)
    late = Valkey(valkey_server.url, Memory(), seconds=PATIENT, monotonic=lambda: time.monotonic() + 3600)
    async with early, late:
        assert (await ask(early, requests_per_minute=1)).taken
        refused = await ask(late, requests_per_minute=1)
        assert not refused.taken and 58 < refused.standing[0].wait <= 60


async def test_places_of_a_process_that_died_come_back(valkey_server: servers.ValkeyServer) -> None:
    async with counting(valkey_server, lease=0.4) as living:
        async with counting(valkey_server, lease=0.4) as dying:
            assert (await ask(dying, place="1", concurrent_requests=2)).taken
            assert (await ask(living, place="2", concurrent_requests=2)).taken
            assert (await ask(living, place="3", concurrent_requests=2)).crowded

        async def taken() -> bool:
            return (await ask(living, place="4", concurrent_requests=2)).taken

        began = time.monotonic()
        while not await taken():
            assert time.monotonic() - began < 5
            await asyncio.sleep(0.02)
        await asyncio.sleep(1.0)  # more than two leases
        assert (await ask(living, place="5", concurrent_requests=2)).crowded, "those that live are renewed"


async def test_a_request_that_has_left_is_not_renewed(valkey_server: servers.ValkeyServer) -> None:
    async with counting(valkey_server, lease=0.2) as counters:
        assert (await ask(counters, place="1", concurrent_requests=1)).taken
        await counters.leave("p/m", "1")
        await asyncio.sleep(0.3)
        assert (await ask(counters, place="2", concurrent_requests=1)).taken


async def test_while_it_is_gone_a_share_is_counted_here(
    valkey_server: servers.ValkeyServer, counters: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await ask(counters, requests_per_day=8)).by is counters
    valkey_server.kill()
    away = [await ask(counters, requests_per_day=8, concurrent_requests=4) for _ in range(6)]
    assert [answer.taken for answer in away] == [True] * 4 + [False] * 2
    assert {answer.limits for answer in away} == {Limits(requests_per_day=4, concurrent_requests=2)}
    assert caplog.text.count("limits are counted in memory") == 1
    valkey_server.restart()

    async def back() -> bool:
        return (await ask(counters, requests_per_day=8)).by is counters

    began = time.monotonic()
    while not await back():
        assert time.monotonic() - began < 10
        await asyncio.sleep(0.05)
    assert caplog.text.count("answers again") == 1


async def test_nobody_waits_for_one_that_hangs(
    valkey_server: servers.ValkeyServer, impatient: Valkey
) -> None:
    await ask(impatient, requests_per_day=8)
    valkey_server.stop()
    try:
        waits = []
        for _ in range(200):
            began = time.monotonic()
            answer = await ask(impatient, requests_per_day=8, place="x", concurrent_requests=5)
            waits.append(time.monotonic() - began)
            assert answer.by is not impatient
            await impatient.leave("p/m", "x")
        assert sum(wait > 0.04 for wait in waits) <= 20, "three, and one for each second: not all of them"
        assert max(waits) < 5
    finally:
        valkey_server.cont()


async def test_it_goes_on_after_a_flush_while_requests_run(
    valkey_server: servers.ValkeyServer, counters: Valkey
) -> None:
    assert (await ask(counters, place="1", requests_per_day=8, concurrent_requests=1)).taken
    valkey_server.flush()
    answer = await ask(counters, place="2", requests_per_day=8, concurrent_requests=1)
    assert answer.by is counters and answer.taken and answer.standing[0].used == 1
    await counters.leave("p/m", "1")
    assert (await ask(counters, place="3", concurrent_requests=1)).crowded


async def test_it_goes_on_when_the_scripts_are_forgotten(
    valkey_server: servers.ValkeyServer, counters: Valkey
) -> None:
    await ask(counters, requests_per_day=8)
    with valkey_server._server.client() as client:
        client.script_flush()
    answer = await ask(counters, requests_per_day=8)
    assert answer.by is counters and answer.standing[0].used == 2


@pytest.mark.fault("the clock of Valkey is set back")
async def test_a_clock_that_is_set_back_holds_nobody_up(
    valkey_server: servers.ValkeyServer, counters: Valkey
) -> None:
    """As if Valkey's clock had been an hour ahead when the limit was reached."""
    await ask(counters, requests_per_minute=600)
    with valkey_server._server.client() as client:
        [key] = client.keys("antiphon:counts:*")
        client.hset(
            key, mapping={"requests_per_minute:used": 600, "requests_per_minute:at": time.time() + 3600}
        )
    assert not (await ask(counters, requests_per_minute=600)).taken
    await asyncio.sleep(0.2)
    assert (await ask(counters, requests_per_minute=600)).taken


@pytest.mark.requirement("R24")
async def test_no_answer_reaches_another_question(counters: Valkey) -> None:
    """R24: questions are cancelled at random moments; every answer that comes is that of its question."""
    moments, answered = random.Random(1), 0

    async def look(number: int, tokens: int = 1) -> None:
        """Each key has taken its own millions of tokens, by which its answers are known."""
        nonlocal answered
        limits = Limits(tokens_per_day=10**9)
        answer = await counters.ask(Ask(key=f"{number}", limits=limits, demand=Demand(tokens=tokens)))
        if answer.by is counters:
            assert answer.standing[0].used // 10**6 == number, "an answer to somebody else"
            answered += 1

    for number in range(1, 20):
        await look(number, tokens=number * 10**6)
    assert answered == 19
    for _ in range(CANCELLATIONS):
        tasks = [asyncio.create_task(look(moments.randint(1, 19))) for _ in range(moments.randint(1, 3))]
        for _ in range(moments.randint(0, 8)):
            await asyncio.sleep(0)
        await asyncio.sleep(moments.choice([0, 0, 0.0001, 0.0003]))
        tasks[0].cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome
    assert answered > CANCELLATIONS / 2, "and most of those that were not cancelled were answered"


@pytest.mark.parametrize(
    "address", ["http://user:secret@host", "valkey://u:secret@host:x", "valkey://u:secret@host?speed=1"]
)
async def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Valkey(address, Memory())
    assert "secret" not in f"{refusal.value} {refusal.value.fix}"


@pytest.mark.parametrize("fault", ["kill", "stop", "flush"])
async def test_requests_run_on_whatever_happens_to_it(
    valkey_server: servers.ValkeyServer, impatient: Valkey, fault: str
) -> None:
    """32 clients send one request after the other; each is let in, or refused for a limit, and soon."""
    gate = Gate(Settings(requests_per_minute=10**6, tokens_per_minute=10**6), counters=impatient)
    caller = Caller(key_id="k", project_id="p", organization_id="o", organization="o")
    waits: list[float] = []
    over = asyncio.Event()

    async def client() -> None:
        while not over.is_set():
            began = time.monotonic()
            async with gate.enter(caller, "m", lambda: 64, 1, Demand(tokens=9)) as place:
                waits.append(time.monotonic() - began)
                await asyncio.sleep(0.05)
                await place.correct(20)

    clients = [asyncio.create_task(client()) for _ in range(32)]
    try:
        await until(lambda: len(waits) > 300)
        getattr(valkey_server, fault)()
        before = len(waits)
        await until(lambda: len(waits) > before + 500)
        valkey_server.restart()
        async with asyncio.timeout(10):
            while (await ask(impatient, key="another", requests_per_day=10**6)).by is not impatient:
                await asyncio.sleep(0.05)
        before = len(waits)
        await until(lambda: len(waits) > before + 300)
    finally:
        over.set()
        await asyncio.gather(*clients)
    assert max(waits) < 5
