"""Where instances have room: whole instances on the machines of one server, beside what is everybody's."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.errors import CapacityTaken
from antiphon.operations.placing import Ground, shared
from antiphon.pools.calendar import Room
from antiphon.pools.machines import Machine
from antiphon.settings import Settings
from antiphon.values import Capacity
from pretended import SMOLLM2, pretend_installed
from service import SPEECH, catalogue
from sold import NOW, instance

CPU = Capacity(cpus=1000)


def has(cpus: int) -> Capacity:
    return Capacity(cpus=cpus * 1000, memory=2**40)


TWO = [Machine("a:/data", "a", has(4)), Machine("b:/data", "b", has(6))]
"""Two servers, each on a machine of its own."""
CLUSTER = [Machine("a:/data", name, has(4)) for name in ("10.0.0.1", "10.0.0.2")]
"""One server with two machines."""


def test_all_replicas_are_on_machines_of_one_server() -> None:
    ground = Ground(TWO, [], [])
    wanted = instance(server="", cpus=3000, replicas=2)
    assert ground.server_for(wanted, NOW) == "b:/data"
    with pytest.raises(CapacityTaken, match="lacks 2 processors"):
        Ground([TWO[0], Machine("b:/data", "b", has(4))], [], []).server_for(wanted, NOW)
    assert Ground(CLUSTER, [], []).server_for(wanted, NOW) == "a:/data"
    assert ground.room(Capacity(cpus=3000), NOW, None) == [Room(NOW, None, 2)], "of one instance"
    assert Ground(CLUSTER, [], []).room(CPU, NOW, None) == [Room(NOW, None, 8)]


def test_an_instance_stays_on_its_server() -> None:
    there = instance(server="a:/data", cpus=1000, replicas=2)
    ground = Ground(TWO, [there], [])
    assert ground.server_for(instance(server="a:/data", cpus=1000, replicas=4), NOW) == "a:/data"
    with pytest.raises(CapacityTaken, match="lacks 1 processors"):
        ground.server_for(instance(server="a:/data", cpus=1000, replicas=5), NOW)
    with pytest.raises(CapacityTaken, match="No machine of its server is known"):
        ground.server_for(instance(server="c:/data"), NOW)
    assert Ground(TWO, [instance(server="b:/data", cpus=6000, replicas=1)], []).room(CPU, NOW, None) == [
        Room(NOW, None, 4)
    ], "it takes nothing of the other server's machine"


def test_what_two_servers_use_is_there_once() -> None:
    both = [Machine("a:/one", "a", has(4)), Machine("a:/two", "a", has(4))]
    ground = Ground(both, [instance(server="a:/one", cpus=1000, replicas=2)], [])
    assert ground.room(CPU, NOW, None) == [Room(NOW, None, 2)]
    with pytest.raises(CapacityTaken):
        ground.server_for(instance(id="d", server="", cpus=1000, replicas=3), NOW)


def test_what_everybody_is_served_by_is_on_every_server() -> None:
    assert Ground(TWO, [], [CPU, CPU]).room(CPU, NOW, None) == [Room(NOW, None, 4)]


def test_a_server_takes_over_what_nobody_runs_as_far_as_it_has_room() -> None:
    sizes = (2000, 3000, 1000, 500)
    gone = [instance(id=f"d{n}", server="gone:/data", cpus=n, replicas=1) for n in sizes]
    mine = instance(id="mine", server="a:/data", cpus=1000, replicas=1)
    ground = Ground(TWO[:1], [mine, *gone], [])
    assert ground.lost == gone
    assert ground.adopted("a:/data", NOW) == ["d2000", "d1000"]
    assert Ground(TWO, [mine], []).lost == []


def test_every_engine_that_may_run_is_everybodys(tmp_path: Path) -> None:
    """Not only those that run all the time: also spare ones, and those for what the first cannot do."""
    pretend_installed(tmp_path, SMOLLM2)
    settings = Settings(home=str(tmp_path))
    needs = {"needs": {"cpus": 1}, "replicas": {"least": 1, "most": 3}}
    found = shared(catalogue(tmp_path, {"snapshots": {SPEECH: needs}}), settings)
    assert found == [CPU] * 3
    two = {"needs": {"cpus": 1}, "engine": ["openvino", "llama"]}
    offering = catalogue(tmp_path, {"snapshots": {SMOLLM2: two}})
    assert shared(offering, settings) == [CPU] * 2
    elsewhere = {"engine": "openai", "source": {"kind": "upstream", "url": "http://a/v1"}, "files": []}
    far = catalogue(tmp_path, {"snapshots": {SMOLLM2: two | elsewhere | {"template": None}}})
    assert shared(far, settings) == []
