"""What the pages to try things on let one choose from: names of models, with their prices, and projects."""

from __future__ import annotations

import msgspec

from antiphon.access.projects import Project, Projects
from antiphon.catalogue.catalogue import Catalogue
from antiphon.ledger.prices import effective
from antiphon.values import Price, Task

_LIMIT = 100


class Name(msgspec.Struct, frozen=True, kw_only=True):
    """A name that a request may ask for."""

    name: str
    snapshot: str
    """What answers to it now: the name itself, unless that is an alias."""
    stand_in: bool
    context: int
    """In tokens."""
    price: Price
    """Today's."""


def names(catalogue: Catalogue, organization_id: str, task: Task) -> dict[str, list[Name]]:
    """Those of the models that do `task`, by what kind of name they are; kinds without one are left out."""
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
                )
            )
    return {kind: listed for kind, listed in found.items() if listed}


async def active(projects: Projects, organization_id: str) -> list[Project]:
    """The projects that requests may be made for, the oldest first: a hundred at most."""
    return (await projects.list(organization_id, limit=_LIMIT)).data
