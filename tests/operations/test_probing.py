"""Probes are sent by one of all processes, with a key of their own, and counted; they cost nothing."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import select

from antiphon.access.access import Access
from antiphon.access.pepper import check_pepper
from antiphon.catalogue.catalogue import Catalogue
from antiphon.operations import probing
from antiphon.operations.probes import CLIP_SECONDS
from antiphon.operations.probing import KEY_SECONDS, Prober, front_door, probed
from antiphon.settings import Settings
from antiphon.status.counting import Counter
from antiphon.status.outcomes import PROBES, objectives
from antiphon.storage.database import Database
from antiphon.storage.tables import api_key, organization, status_probe
from antiphon.values import ChatJob, Delta, Segment, SpeechJob, Transcript, Usage
from observations import Watcher
from service import CHAT, ScriptedEngine, Service, catalogue, serving
from tenants import PEPPER, World
from until import until


async def says_nothing(job: ChatJob) -> AsyncIterator[Delta | Usage]:
    yield Delta(0, "", (), "stop", 0)
    yield Usage(prompt_tokens=3, completion_tokens=0)


async def hears(job: SpeechJob) -> AsyncIterator[Segment | Transcript]:
    yield Segment(
        id=0,
        seek=0,
        start=0.0,
        end=3.0,
        text=" Ask what you can do for your country.",
        tokens=[1],
        temperature=0.0,
        avg_logprob=-0.1,
        compression_ratio=1.0,
        no_speech_prob=0.0,
    )
    yield Transcript(language="en", duration=3.0, usage=Usage(seconds=CLIP_SECONDS))


class House:
    """A service, and any number of processes that would probe it."""

    def __init__(self, world: World, service: Service, home: Path, watcher: Watcher) -> None:
        self.world = world
        self.watcher = watcher
        self.service = service
        self.counter = Counter(objectives(Settings()), lambda: world.wall)
        self.settings = Settings(home=str(home), port=service.port)
        self.catalogue: Catalogue = catalogue(home)

    @property
    def access(self) -> Access:
        return self.world.access

    def prober(self, holder: str = "a") -> Prober:
        return Prober(
            self.world.database,
            self.access,
            lambda: self.catalogue,
            self.counter,
            self.settings,
            holder,
            lambda: self.world.wall,
        )

    def counted(self) -> dict[str, list[int]]:
        return {api: list(counts) for (api, _), counts in self.counter.take().items()}

    async def last(self) -> dict[str, tuple[bool, str]]:
        async with self.world.database.connect() as connection:
            rows = await connection.execute(select(status_probe))
            return {row.api: (row.good, row.reason) for row in rows}

    async def keys(self) -> int:
        async with self.world.database.connect() as connection:
            query = select(api_key.c.id).where(api_key.c.organization_id == PROBES)
            return len((await connection.execute(query)).all())


@pytest.fixture
async def house(tmp_path: Path, migrated_sqlite: Path) -> AsyncIterator[House]:
    path = shutil.copy(migrated_sqlite, tmp_path / "antiphon.db")
    priced = {
        "snapshots": {CHAT: {"prices": [{"since": date(2020, 1, 1), "input": "1.00", "output": "1.00"}]}}
    }
    async with Database(f"sqlite+aiosqlite:///{path}") as database:
        await check_pepper(database, PEPPER)
        world = World(database)
        engine, watcher = ScriptedEngine(speech=hears), Watcher()
        async with serving(
            tmp_path, engine, authenticator=world.access.authenticator, models=priced, observers=[watcher]
        ) as service:
            yield House(world, service, tmp_path, watcher)


async def test_both_are_sent_and_counted_and_cost_nothing(house: House) -> None:
    prober = house.prober()
    await prober.probe()
    assert house.counted() == {"chat": [1, 0], "speech": [1, 0]}
    assert await house.last() == {"chat": (True, ""), "speech": (True, "")}
    requests = await house.service.books.requests(2)
    assert {row.organization_id for row in requests} == {PROBES}
    assert {row.status for row in requests} == {"settled"} and {row.cost for row in requests} == {0}
    assert sum(row.output_tokens for row in requests) > 0


async def test_they_are_neither_kept_nor_scored(house: House) -> None:
    await house.prober().probe()
    assert house.watcher.told == []


async def test_a_server_that_starts_is_not_probed_before_it_is_ready(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "FIRST_SECONDS", 0.0)
    house.service.pool.capacity = 0
    probes = asyncio.create_task(house.prober().run())
    await asyncio.sleep(0.7)
    assert house.counted() == {}
    house.service.pool.capacity = 2
    await until(lambda: house.counted() == {"chat": [1, 0], "speech": [1, 0]})
    probes.cancel()


async def test_a_server_that_is_never_ready_is_probed_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(probing, "BEGIN_SECONDS", 0.2)
    house.settings = Settings(home=house.settings.home, port=1)
    probes = asyncio.create_task(house.prober().run())
    await until(lambda: house.counted() == {"chat": [0, 1], "speech": [0, 1]})
    probes.cancel()


async def test_one_of_all_sends_them(house: House) -> None:
    one, other = house.prober("a"), house.prober("b")
    await asyncio.gather(one.probe(), other.probe())
    assert house.counted() == {"chat": [1, 0], "speech": [1, 0]}
    house.world.wall += 60
    await one.probe()
    await other.probe()
    assert sum(sum(counts) for counts in house.counted().values()) == 2
    house.world.wall += 600  # the one that had the lease is gone
    await other.probe()
    assert house.counted() == {"chat": [1, 0], "speech": [1, 0]}


async def test_a_key_is_used_for_a_day_and_never_kept(house: House) -> None:
    prober = house.prober()
    for _ in range(3):
        await prober.probe()
    assert await house.keys() == 1
    house.world.wall += KEY_SECONDS // 2
    await prober.probe()
    assert await house.keys() == 2 and house.counted()
    async with house.world.database.connect() as connection:
        rows = (
            await connection.execute(select(organization.c.name).where(organization.c.id == PROBES))
        ).all()
        ends = (await connection.execute(select(api_key.c.expires_at))).scalars().all()
    assert len(rows) == 1 and all(ends)


async def test_a_revoked_key_says_nothing_of_the_service_and_is_made_anew(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    prober = house.prober()
    await prober.probe()
    async with house.world.database.begin() as connection:
        await connection.execute(api_key.update().values(revoked_at=1))
    house.world.monotonic += 10
    house.counted()
    await prober.probe()
    assert house.counted() == {} and "was refused" in caplog.text
    await prober.probe()
    assert house.counted() == {"chat": [1, 0], "speech": [1, 0]}


async def test_what_is_no_answer_counts_as_bad(
    house: House, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house.service.engine._scripts = (says_nothing, hears)  # type: ignore[assignment]
    await house.prober().probe()
    assert house.counted() == {"chat": [0, 1], "speech": [1, 0]}
    assert (await house.last())["chat"] == (False, "the answer is empty")
    assert "the probe of chat failed: the answer is empty" in caplog.text


async def test_a_door_that_is_shut_counts_as_bad(house: House) -> None:
    house.settings = Settings(home=house.settings.home, port=1)
    await house.prober().probe()
    assert house.counted() == {"chat": [0, 1], "speech": [0, 1]}


async def test_nothing_is_sent_where_no_engine_runs_all_the_time(house: House) -> None:
    house.catalogue = Catalogue(house.catalogue.entries, house.catalogue.aliases, frozenset())
    await house.prober().probe()
    assert house.counted() == {} and await house.keys() == 0


def test_the_first_alias_of_each_task_is_asked(tmp_path: Path) -> None:
    assert probed(catalogue(tmp_path)) == {"chat": "gpt-3.5-turbo", "speech": "whisper-1"}


@pytest.mark.parametrize(
    ("host", "door"),
    [
        ("127.0.0.1", "http://127.0.0.1:81"),
        ("0.0.0.0", "http://127.0.0.1:81"),
        ("::", "http://[::1]:81"),
        ("10.0.0.7", "http://10.0.0.7:81"),
        ("localhost", "http://localhost:81"),
    ],
)
def test_where_the_front_door_is(host: str, door: str) -> None:
    assert front_door(Settings(host=host, port=81)) == door
