"""Where engine processes live: what every runtime offers, whatever machine it starts them on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from antiphon.address import Address
from antiphon.values import NOTHING, Capacity


class Process(Protocol):
    """A running engine process. When it has ended nothing of it is left but its log."""

    @property
    def pid(self) -> int | None:
        """On the machine where it runs; None where that cannot be known."""

    @property
    def address(self) -> Address:
        """Where it listens, once it does."""

    async def wait(self) -> int:
        """Its exit code, once it has ended; negative: the signal that ended it."""

    async def stop(self, grace: float) -> int:
        """End it, by SIGTERM and `grace` seconds later by SIGKILL; its exit code."""

    async def memory(self) -> int | None:
        """Bytes that it and what it started hold for themselves alone; None where that cannot be known."""


Command = Callable[[Address], list[str]]
"""The argument list of a process that is to listen at an address."""


class Runtime(Protocol):
    async def machines(self) -> Mapping[str, Capacity]:
        """What there is for engines, by the names of the machines where they may run."""

    async def start(self, name: str, command: Command, needs: Capacity = NOTHING) -> Process:
        """Start a process, which is called `name` in logs, and which takes so much of a machine.

        Returns once it has a place. Raises `OSError` if it cannot be started.
        """

    async def close(self) -> None:
        """Let go of what places processes. They have been stopped before."""
