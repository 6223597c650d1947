"""What stands at the side of every page, as far as who looks at it may open it."""

from __future__ import annotations

import msgspec

from antiphon.access.permissions import Permission, allows
from antiphon.values import Caller


class Entry(msgspec.Struct, frozen=True):
    """One page; `needs` as its route."""

    path: str
    name: str
    needs: Permission = "org.read"


GROUPS: dict[str, tuple[Entry, ...]] = {
    "Try": (
        Entry("/", "Overview"),
        Entry("/playground", "Playground"),
        Entry("/speech", "Speech"),
        Entry("/logs", "Logs"),
    ),
    "Account": (
        Entry("/usage", "Usage"),
        Entry("/costs", "Costs"),
        Entry("/limits", "Limits and budgets"),
        Entry("/keys", "Keys"),
        Entry("/projects", "Projects"),
        Entry("/members", "Members"),
    ),
    "Platform": (
        Entry("/catalogue", "Models"),
        Entry("/dedicated", "Dedicated"),
        Entry("/uptime", "Status"),
        Entry("/instance", "Installation", "operator"),
    ),
    "Trust": (
        Entry("/data", "Data"),
        Entry("/flags", "Flags"),
        Entry("/audit", "Audit"),
    ),
}


def visible(caller: Caller) -> dict[str, list[Entry]]:
    """The groups, without what the caller may not open."""
    shown = {
        group: [one for one in entries if allows(caller, one.needs)] for group, entries in GROUPS.items()
    }
    return {group: entries for group, entries in shown.items() if entries}
