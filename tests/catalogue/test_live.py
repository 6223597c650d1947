"""The catalogue of a server that runs: what it follows, and when an alias is taken for another snapshot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec.structs import replace

from antiphon.catalogue import live
from antiphon.catalogue.changes import Changes
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
        self.running: dict[str, bool] = {}
        """By snapshot, whether it runs on demand."""
        self.own: dict[str, int] = {}
        """The instances that run, by the names of their deployments, and their slots."""
        self.database = database
        self.changes = Changes(database, clock=lambda: self.now)
        self.live = LiveCatalogue(
            Settings(home=str(home)),
            self.changes,
            self.follow,
            lambda snapshot: snapshot in self.ready,
            clock=lambda: self.now,
        )

    def follow(self, deployments: Iterable[Deployment]) -> None:
        found = list(deployments)
        self.running = {one.snapshot: one.on_demand for one in found if not one.instance}
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
    assert house.running == {SMOLLM2: False, BASE: True, TINY: False}
    assert house.means == BASE, "nobody waits for the new one"
    assert {model.id: model.alias_of for model in house.live.models()}["whisper-1"] == BASE
    house.ready.add(TINY)
    house.live.take()
    assert house.means == TINY and house.live.resolve(BASE).id == BASE
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
    assert house.running[TINY] is False and house.means == BASE
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


async def test_a_server_that_starts_takes_what_is_meant(house: House) -> None:
    await house.changes.switch("whisper-1", TINY)
    await house.live.start()
    other = LiveCatalogue(
        Settings(home=str(house.home)), house.changes, house.follow, lambda _: False, clock=lambda: house.now
    )
    await other.start()
    assert other.resolve("whisper-1").id == TINY


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


async def test_an_instance_begins_is_changed_and_ends_by_itself(house: House) -> None:
    one = instance(snapshot=TINY, begins_at=int(house.now) + 10, ends_at=int(house.now) + 30)
    await put(house.database, one)
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
    one = instance(begins_at=int(house.now))
    await put(house.database, one)
    await house.live.look()
    assert list(house.own) == [f"{BASE}@dedicated_1"] and house.running[BASE] is False
    await put(house.database, replace(one, ends_at=int(house.now)))
    await house.live.look()
    assert house.own == {} and house.running[BASE] is False


async def test_an_instance_whose_model_is_removed_and_comes_back(house: House, tmp_path: Path) -> None:
    await put(house.database, instance(begins_at=int(house.now)))
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
