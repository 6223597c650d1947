"""Which processes there are to be."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

import fake_engine
from antiphon.errors import ConfigurationError
from antiphon.pools.plan import units
from antiphon.values import Deployment

ALONE, SHARED = fake_engine.kind(name="alone"), fake_engine.kind(name="shared", shared=True)
KINDS = {kind.name: kind for kind in (ALONE, SHARED)}


def deployment(snapshot: str, engine: str = "alone", **given: object) -> Deployment:
    return Deployment(snapshot=snapshot, task="chat", engine=engine, model=Path("/m"), slots=5, **given)  # type: ignore[arg-type]


def keys(*deployments: Deployment) -> list[str]:
    return [unit.key for unit, _ in units(deployments, KINDS)]


def test_those_of_a_shared_kind_are_one_unit_and_every_other_is_one() -> None:
    one, two = deployment("one"), deployment("two")
    base, tiny = deployment("base", "shared"), deployment("tiny", "shared")
    found = units([one, base, two, tiny], KINDS)
    assert [(unit.name, unit.deployments, kind.name) for unit, kind in found] == [
        ("one", (one,), "alone"),
        ("shared", (base, tiny), "shared"),
        ("two", (two,), "alone"),
    ]


def test_the_key_changes_with_what_the_process_is_launched_with() -> None:
    one = deployment("one")
    others = [
        replace(one, slots=6),
        replace(one, context=10),
        replace(one, model=Path("/n")),
        replace(one, digest="d"),
        replace(one, options={"template": "t"}),
        replace(one, engine="shared"),
        deployment("two"),
    ]
    found = [key for other in others for key in keys(other)]
    assert len({*keys(one), *found}) == 1 + len(others)
    base, tiny = deployment("base", "shared"), deployment("tiny", "shared")
    assert keys(base) != keys(base, tiny)


def test_the_key_stays_whether_it_runs_on_demand_or_always() -> None:
    one = deployment("one")
    assert keys(one) == keys(replace(one, on_demand=True)) == keys(replace(one, coming=True))
    [(asleep, _)] = units([replace(one, on_demand=True)], KINDS)
    [(both, _)] = units([deployment("a", "shared", on_demand=True), deployment("b", "shared")], KINDS)
    assert asleep.on_demand and not both.on_demand


def test_there_is_a_unit_for_each_replica_of_one_generation() -> None:
    found = [unit for unit, _ in units([deployment("one", replicas=2, most_replicas=4)], KINDS)]
    assert [unit.process for unit in found] == ["one", "one+2", "one+3", "one+4"]
    assert [unit.spare for unit in found] == [False, False, True, True]
    assert len({unit.key for unit in found}) == 4 and len({unit.generation for unit in found}) == 1
    assert keys(deployment("one")) == [found[0].key], "how many there are changes nothing in each"


@pytest.mark.parametrize(
    ("slots", "of", "parts"),
    [(5, 1, [5]), (5, 2, [3, 2]), (7, 4, [2, 2, 2, 1]), (8, 4, [2] * 4), (1, 4, [1] * 4), (2, 3, [1] * 3)],
)
def test_processes_have_all_slots_together_and_each_at_least_one(
    slots: int, of: int, parts: list[int]
) -> None:
    [(unit, _)] = units([replace(deployment("one"), slots=slots)], KINDS)
    shares = [replace(unit, part=(process, of)) for process in range(of)]
    assert [share.slots(share.deployments[0]) for share in shares] == parts
    assert {share.key for share in shares} == {unit.key}


def test_no_replica_has_the_name_of_another_model() -> None:
    found = units([deployment("qwen", replicas=2, most_replicas=2), deployment("qwen.2")], KINDS)
    assert len({unit.process for unit, _ in found}) == 3


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refused:
        units([deployment("one", "llama")], KINDS)
    assert refused.value.fix is not None and refused.value.fix.endswith("alone, shared")
    with pytest.raises(ConfigurationError, match="'shared' has the name of an engine"):
        units([deployment("base", "shared"), deployment("shared")], KINDS)


def test_an_instance_is_a_unit_of_its_own_whatever_its_kind() -> None:
    shared, own = deployment("base", "shared"), deployment("base", "shared", instance="i", organization="o")
    found = [unit for unit, _ in units([shared, own], KINDS)]
    assert [(unit.name, unit.deployments) for unit in found] == [("shared", (shared,)), ("base@i", (own,))]
    own = deployment("one", instance="i", organization="o", replicas=2, most_replicas=2)
    found = [unit for unit, _ in units([deployment("one"), own], KINDS)]
    assert [unit.process for unit in found] == ["one", "one@i", "one@i+2"]
    assert len({unit.key for unit in found}) == 3


def test_what_spills_over_changes_no_process() -> None:
    own = deployment("one", instance="i", organization="o")
    assert keys(own) == keys(replace(own, spill_over=True))
    assert keys(own) != keys(replace(own, slots=7)) != keys(replace(own, context=9))
