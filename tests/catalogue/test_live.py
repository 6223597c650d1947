"""The catalogue of a server that runs: what it follows, and when an alias is taken for another snapshot."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from antiphon.catalogue import live
from antiphon.catalogue.changes import Changes
from antiphon.catalogue.entries import Ending
from antiphon.catalogue.instances import Instance
from antiphon.catalogue.live import LiveCatalogue
from antiphon.errors import ConfigurationError, ModelNotFound
from antiphon.settings import Settings
from antiphon.storage.database import Database
from antiphon.values import Deployment
from pretended import BASE, SMOLLM2, TINY, pretend_installed, write
from sold import instance, put

LLAMA = f'[snapshots."{SMOLLM2}"]\nengine = "llama"\n'
"""So that nothing has to be prepared."""


class House:
    """A live catalogue over a clock that is set, and pools that are ready when told."""

    def __init__(self, home: Path, database: Database) -> None:
        self.now = 1_800_000_000.0
        self.home = home
        self.ready: set[str] = {BASE, SMOLLM2}
        self.broken: set[str] = set()
        self.running: dict[str, bool] = {}
        """By snapshot, whether it runs on demand."""
        self.own: dict[str, int] = {}
        """The instances that run, by the names of their deployments, and their slots."""
        self.database = database
        self.changes = Changes(database, clock=lambda: self.now)
        self.live = self.process()

    def process(self) -> LiveCatalogue:
        """One that has just begun."""
        return LiveCatalogue(
            Settings(home=str(self.home)),
            self.changes,
            self.follow,
            lambda snapshot: snapshot in self.ready,
            lambda snapshot: snapshot in self.broken,
            clock=lambda: self.now,
        )

    async def restart(self) -> None:
        """The server is another one, whose engines are not ready yet."""
        self.ready = set()
        self.live = self.process()
        await self.live.start()

    async def sell(self, **changes: Any) -> Instance:
        """An instance of this server's, the only one that there is."""
        one = instance(**({"server": Settings(home=str(self.home)).server} | changes))
        await put(self.database, one)
        return one

    def follow(self, deployments: Iterable[Deployment]) -> None:
        found = list(deployments)
        self.running = {one.snapshot: one.on_demand for one in found if not one.instance}
        self.coming = {one.snapshot for one in found if one.coming}
        self.own = {one.name: one.slots for one in found if one.instance}

    @property
    def means(self) -> str:
        return self.live.resolve("whisper-1").id


@pytest.fixture
async def house(tmp_path: Path, database: Database) -> House:
    write(tmp_path, LLAMA)
    pretend_installed(tmp_path, SMOLLM2, BASE, TINY)
    house = House(tmp_path, database)
    await house.live.start()
    return house


async def test_a_switch_is_taken_once_the_new_one_would_serve(house: House) -> None:
    assert (house.means, house.running) == (BASE, {SMOLLM2: False, BASE: False})
    await house.changes.switch("whisper-1", TINY)
    await house.live.look()
    assert house.running == {SMOLLM2: False, BASE: False, TINY: False}
    assert house.means == BASE and house.coming == {TINY}, "nobody waits for the new one"
    assert {model.id: model.alias_of for model in house.live.models()}["whisper-1"] == BASE
    house.ready.add(TINY)
    house.live.take()
    assert house.means == TINY and house.live.resolve(BASE).id == BASE
    await house.live.look()
    assert house.running == {SMOLLM2: False, BASE: True, TINY: False} and house.coming == set()
    house.ready.discard(TINY)
    house.live.take()
    assert house.means == TINY, "what was taken stays"


async def test_a_switch_is_rolled_back_at_once_while_the_old_one_serves(house: House) -> None:
    await house.changes.switch("whisper-1", TINY)
    house.ready.add(TINY)
    await house.live.look()
    assert house.means == TINY
    house.now += 5
    await house.changes.switch("whisper-1", BASE)
    await house.live.look()
    assert house.means == BASE and house.running[TINY] is True


async def test_what_is_announced_happens_by_itself(house: House) -> None:
    await house.changes.switch("whisper-1", TINY, int(house.now) + 3600)
    await house.live.look()
    assert TINY not in house.running
    house.now += 3600 - 600
    await house.live.look()
    assert house.running[TINY] is False and house.means == BASE and house.coming == {TINY}
    house.ready.add(TINY)
    house.now += 600
    await house.live.look()
    assert house.means == TINY


async def test_a_switch_that_is_called_off_never_happens(house: House) -> None:
    made = await house.changes.switch("whisper-1", TINY, int(house.now) + 60)
    await house.live.look()
    assert house.running[TINY] is False
    await house.changes.cancel(made.id)
    await house.live.look()
    assert TINY not in house.running


async def test_a_changed_file_is_followed(house: House, tmp_path: Path) -> None:
    write(tmp_path, f'{LLAMA}slots = 3\n\n[snapshots."{TINY}"]\nserve = true\n')
    await house.live.look()
    assert house.running[TINY] is False and house.live.resolve(SMOLLM2).slots == 3


async def test_what_is_installed_and_removed_is_followed(house: House, tmp_path: Path) -> None:
    weights = tmp_path / "models" / BASE / "model.bin"
    kept = weights.rename(tmp_path / "kept")
    await house.live.look()
    assert BASE not in house.running
    with pytest.raises(ModelNotFound, match="antiphon models pull"):
        house.live.resolve("whisper-1")
    kept.rename(weights)
    await house.live.look()
    assert house.running[BASE] is False and house.means == BASE


async def test_what_is_taken_runs_until_the_new_one_serves(house: House) -> None:
    await house.changes.switch("whisper-1", TINY, int(house.now) + 60)
    for seconds in (0, 60, 3600, 30 * 86_400):
        house.now += seconds
        await house.live.look()
        assert house.means == BASE and house.running[BASE] is False, "it must not end for want of requests"
    house.ready.add(TINY)
    await house.live.look()
    assert house.means == TINY and house.running[BASE] is True


async def test_a_server_that_starts_takes_what_is_meant(house: House) -> None:
    await house.changes.switch("whisper-1", TINY)
    await house.restart()
    assert house.means == TINY and house.running == {SMOLLM2: False, BASE: True, TINY: False}


async def test_a_process_that_starts_takes_what_serves(house: House) -> None:
    """Others run the engines: the new one is not ready, and what was meant before is."""
    await house.changes.switch("whisper-1", TINY)
    house.live = house.process()
    await house.live.start()
    assert house.means == BASE and house.running[BASE] is False
    house.ready.discard(BASE)
    house.live.take()
    assert house.means == BASE, "what was taken stays"
    house.ready.add(TINY)
    house.live.take()
    assert house.means == TINY


async def test_a_server_that_starts_falls_back_if_the_new_one_cannot_start(house: House) -> None:
    await house.changes.switch("whisper-1", TINY)
    await house.restart()
    house.broken.add(TINY)
    await house.live.look()
    assert house.means == BASE and house.running == {SMOLLM2: False, BASE: False, TINY: False}
    house.ready.add(BASE)
    house.broken.discard(TINY)
    await house.live.look()
    assert house.means == BASE, "until the new one serves"
    house.ready.add(TINY)
    await house.live.look()
    assert house.means == TINY and house.running[BASE] is True


async def test_a_server_that_starts_without_the_new_one_takes_the_last_that_is_there(house: House) -> None:
    await house.changes.switch("whisper-1", TINY)
    shutil.rmtree(house.home / "models" / TINY)
    await house.restart()
    assert house.means == BASE and house.running == {SMOLLM2: False, BASE: False}
    pretend_installed(house.home, TINY)
    house.ready.update((BASE, TINY))
    await house.live.look()
    assert house.means == TINY and house.running[BASE] is True


async def test_what_has_ended_is_not_taken_for_what_was_meant_before(house: House) -> None:
    await house.changes.switch("whisper-1", TINY)
    day = datetime.fromtimestamp(house.now, UTC).date()
    await house.changes.end(Ending(snapshot=TINY, deprecated=day, shutdown=day))
    house.live = house.process()
    await house.live.start()
    with pytest.raises(ModelNotFound, match="shut down"):
        house.live.resolve("whisper-1")


async def test_a_broken_file_changes_nothing_and_is_told_once(
    house: House, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_LOOK", 0.02)
    write(tmp_path, f"{LLAMA}colour = 1\n")
    with pytest.raises(ConfigurationError, match="line 3"):
        await house.live.look()
    write(tmp_path, f"{LLAMA}\ncolour = 1\n")
    following = asyncio.create_task(house.live.run())
    with caplog.at_level(logging.INFO, logger="antiphon.catalogue"):
        await asyncio.sleep(0.2)
        assert [r.getMessage() for r in caplog.records if "line 4" in r.getMessage()] and len(
            caplog.records
        ) == 1
        assert house.means == BASE
        write(tmp_path, f"{LLAMA}slots = 2\n")
        async with asyncio.timeout(5):
            while house.live.resolve(SMOLLM2).slots != 2:
                await asyncio.sleep(0.01)
    following.cancel()


async def test_a_plan_that_no_engine_can_serve_changes_nothing(house: House, tmp_path: Path) -> None:
    write(tmp_path, f'{LLAMA}\n[snapshots."{BASE}"]\nengine = "nonesuch"\n')
    with pytest.raises(ConfigurationError, match="nonesuch"):
        await house.live.look()
    assert house.means == BASE and house.live.resolve(BASE).engine == "speech"
    await house.changes.switch("whisper-1", TINY)
    house.ready.add(TINY)
    with pytest.raises(ConfigurationError, match="nonesuch"):
        await house.live.look()
    assert house.means == TINY, "all else is followed"
    write(tmp_path, f'{LLAMA}\n[snapshots."{BASE}"]\nslots = 3\n')
    await house.live.look()
    assert house.live.resolve(BASE).slots == 3


@pytest.mark.parametrize("cause", ["the file", "a switch"])
async def test_what_could_not_be_followed_is_tried_again(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    def fail(deployments: Iterable[Deployment]) -> None:
        raise ConfigurationError("not now")

    if cause == "the file":
        write(tmp_path, f'{LLAMA}\n[snapshots."{TINY}"]\nserve = true\n')
    else:
        await house.changes.switch("whisper-1", TINY)
    monkeypatch.setattr(house.live, "_follow", fail)
    for _ in range(3):
        with pytest.raises(ConfigurationError, match="not now"):
            await house.live.look()
        assert TINY not in house.live.catalogue.served
    monkeypatch.setattr(house.live, "_follow", house.follow)
    await house.live.look()
    assert house.running[TINY] is False


async def test_an_instance_begins_is_changed_and_ends_by_itself(house: House) -> None:
    one = await house.sell(snapshot=TINY, begins_at=int(house.now) + 10, ends_at=int(house.now) + 30)
    await house.live.look()
    assert house.own == {} and TINY not in {model.id for model in house.live.models("org-1")}
    house.now += 10
    await house.live.look()
    assert house.own == {f"{TINY}@dedicated_1": 4} and TINY not in house.running
    assert house.live.resolve(TINY, "org-1").id == TINY
    with pytest.raises(ModelNotFound):
        house.live.resolve(TINY, "org-2")
    assert TINY in {model.id for model in house.live.models("org-1")}
    assert TINY not in {model.id for model in house.live.models()}
    await put(house.database, replace(one, load=9))
    await house.live.look()
    assert house.own == {f"{TINY}@dedicated_1": 9}
    house.now += 20
    await house.live.look()
    assert house.own == {}
    with pytest.raises(ModelNotFound):
        house.live.resolve(TINY, "org-1")


async def test_an_instance_that_is_ended_now_ends_at_the_next_look(house: House) -> None:
    one = await house.sell(begins_at=int(house.now))
    await house.live.look()
    assert list(house.own) == [f"{BASE}@dedicated_1"] and house.running[BASE] is False
    await put(house.database, replace(one, ends_at=int(house.now)))
    await house.live.look()
    assert house.own == {} and house.running[BASE] is False


async def test_an_instance_whose_model_is_removed_and_comes_back(house: House, tmp_path: Path) -> None:
    await house.sell(begins_at=int(house.now))
    await house.live.look()
    weights = tmp_path / "models" / BASE / "model.bin"
    kept = weights.rename(tmp_path / "kept")
    await house.live.look()
    assert house.own == {}
    kept.rename(weights)
    await house.live.look()
    assert list(house.own) == [f"{BASE}@dedicated_1"]


async def test_other_commands_see_the_same_catalogue(house: House, tmp_path: Path) -> None:
    await put(house.database, instance(snapshot=TINY, begins_at=0))
    found = await live.changed(tmp_path, Changes(house.database))
    assert [one.snapshot for one in found.instances] == [TINY]


async def test_what_another_server_runs_is_not_run_here(house: House) -> None:
    await house.sell(begins_at=int(house.now), server="rack-2:/data")
    await house.live.look()
    assert house.own == {} and house.running[BASE] is False
    assert house.live.elsewhere("org-1", BASE) == "rack-2"
    assert house.live.elsewhere("org-2", BASE) == "" == house.live.elsewhere("org-1", TINY)
    await house.sell(begins_at=int(house.now), server="rack-2:/data", spill_over=True)
    await house.live.look()
    assert house.live.elsewhere("org-1", BASE) == "", "it may be served by what is everybody's"
    await house.sell(begins_at=int(house.now))
    await house.live.look()
    assert list(house.own) == [f"{BASE}@dedicated_1"] and house.live.elsewhere("org-1", BASE) == ""


async def test_of_two_servers_on_a_database_one_runs_an_instance(house: House, tmp_path: Path) -> None:
    pretend_installed(tmp_path / "two", SMOLLM2, BASE, TINY)
    write(tmp_path / "two", LLAMA)
    other = House(tmp_path / "two", house.database)
    await other.live.start()
    await other.sell(begins_at=int(house.now))
    for one in (house, other):
        await one.live.look()
    assert house.own == {} and list(other.own) == [f"{BASE}@dedicated_1"]
