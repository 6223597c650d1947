"""What the pages to try things on let one choose from: names of models, with their prices, and projects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from antiphon.access.projects import Project, Projects
from antiphon.catalogue.catalogue import Catalogue
from antiphon.ledger.prices import effective
from antiphon.operations.dedicated import MOST, Dedicated, Standing
from antiphon.values import Price, Task

_LIMIT = 100


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """The instances of a snapshot that an organization has for itself now. They are paid for by time: what
    they answer costs nothing more."""

    names: str
    hour: int
    """What all of them cost, in nano-dollars an hour."""
    spills: bool
    """Whether a request without a place there goes to the shared service, at its prices."""


class Name(msgspec.Struct, frozen=True, kw_only=True):
    """A name that a request may ask for."""

    name: str
    snapshot: str
    """What answers to it now: the name itself, unless that is an alias."""
    stand_in: bool
    context: int
    """In tokens."""
    price: Price
    """Today's, of the shared service."""
    own: Own | None = None
    """What answers in its place, if the organization has that."""


def names(
    catalogue: Catalogue, organization_id: str, task: Task, own: Mapping[str, Own] = {}
) -> dict[str, list[Name]]:
    """Those of the models that do `task`, by what kind of name they are; kinds without one are left out.

    `own` is what the organization has for itself, by snapshot.
    """
    found: dict[str, list[Name]] = {"Names": [], "Stand-ins": [], "Snapshots": []}
    for model in catalogue.models(organization=organization_id):
        entry = catalogue.entries[model.alias_of or model.id]
        if entry.task == task:
            kind = "Stand-ins" if model.stand_in else "Names" if model.alias_of else "Snapshots"
            found[kind].append(
                Name(
                    name=model.id,
                    snapshot=entry.id,
                    stand_in=model.stand_in,
                    context=entry.context,
                    price=effective(entry.prices, catalogue.today),
                    own=own.get(entry.id),
                )
            )
    return {kind: listed for kind, listed in found.items() if listed}


async def instances(dedicated: Dedicated, organization_id: str) -> list[Standing]:
    """Every instance of an organization, the oldest first."""
    found: list[Standing] = []
    more = True
    while more:
        after = found[-1].id if found else None
        page = await dedicated.listed(organization_id, after=after, limit=MOST)
        found, more = [*found, *page.data], page.has_more
    return found


def running(standings: Iterable[Standing], now: float) -> dict[str, Own]:
    """Those of the instances whose time it is, by snapshot."""
    by_snapshot: dict[str, list[Standing]] = {}
    for one in standings:
        if one.instance.runs(now):
            by_snapshot.setdefault(one.instance.snapshot, []).append(one)
    return {
        snapshot: Own(
            names=", ".join(f"“{one.instance.name}”" for one in some),
            hour=sum(one.price * one.instance.replicas for one in some),
            spills=any(one.instance.spill_over for one in some),
        )
        for snapshot, some in by_snapshot.items()
    }


async def active(projects: Projects, organization_id: str) -> list[Project]:
    """The projects that requests may be made for, the oldest first: a hundred at most."""
    return (await projects.list(organization_id, limit=_LIMIT)).data
