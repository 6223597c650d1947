"""What `runtime.ray` and the process that speaks with Ray, `runtime.ray_control`, tell each other.

Lines of JSON on its stdin and stdout. An engine is known by the name of its actor.
"""

from __future__ import annotations

import signal

import msgspec

from antiphon.address import Address
from antiphon.errors import ConfigurationError
from antiphon.values import Capacity

LOST = -signal.SIGKILL
"""The exit code of a process whose machine, or actor, is gone."""


class Start(msgspec.Struct, frozen=True, tag=True):
    """Start a process: of its argument list, some words are known only where it will run (`ray_host`)."""

    actor: str
    name: str
    """What it is called in logs."""
    words: list[str]
    needs: Capacity


class Stop(msgspec.Struct, frozen=True, tag=True):
    """End a process, or its start."""

    actor: str
    grace: float


class Adopt(msgspec.Struct, frozen=True, tag=True):
    """Attend to an engine that was started by an earlier control process."""

    actor: str
    name: str
    machine: str


class Look(msgspec.Struct, frozen=True, tag=True):
    """Say which machines there are."""


class Joined(msgspec.Struct, frozen=True, tag=True):
    """The first answer: the cluster is there."""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The first and only answer: it is not, and what to do about it."""

    message: str
    fix: str


class Started(msgspec.Struct, frozen=True, tag=True):
    actor: str
    address: Address
    pid: int
    machine: str
    """Ray's id of the node."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A start has come to nothing, and nothing is left of it."""

    actor: str
    problem: str


class Ended(msgspec.Struct, frozen=True, tag=True):
    actor: str
    code: int


class Machines(msgspec.Struct, frozen=True, tag=True):
    """What each machine has for engines, by the addresses of those that are alive."""

    found: dict[str, Capacity]


Order = Start | Stop | Adopt | Look
Answer = Joined | Refused | Started | Failed | Ended | Machines


def no_cluster(address: str, reason: str = "") -> ConfigurationError:
    """What is said when nobody lets us in at an address: Ray does not always tell why."""
    return ConfigurationError(
        f"No Ray cluster lets us in at '{address}'" + (f": {reason}" if reason else ""),
        fix="start one with `ray start --head`, name it by --ray-address, and see docs/ray.md for its token",
    )
