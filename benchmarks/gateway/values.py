"""What a run of the gateway benchmarks measured, as the JSON file of its results holds it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.figures import median
from benchmarks.runs import Run

KIND = "gateway"
ANTIPHON = "Antiphon"
LITELLM = "LiteLLM"
SMG = "smg"
UPSTREAM = "upstream directly"

LATE_SECONDS = 0.25
COMMITS = 2
"""For which a request of Antiphon's waits: of its reservation, and of its settlement."""


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """Answers a second, and their latencies in milliseconds."""

    per_second: float
    p50: float
    p99: float
    microseconds: float
    """Of processor time of the gateway for each answer."""


class Paced(msgspec.Struct, frozen=True, kw_only=True):
    """Many streams at once, each at a steady pace."""

    microseconds: float
    """Of processor time of the gateway for each event that reached a client."""
    arrived: float
    """Events that reached a client, to those that the upstream was to send in that time."""
    gaps: int
    """Between two events of a stream."""
    late: int
    """Gaps over `LATE_SECONDS`."""
    cores: float
    """Seconds of processor time that the gateway took in each second."""

    @property
    def late_percent(self) -> float:
        return 100 * self.late / self.gaps if self.gaps else 100.0


class Turn(msgspec.Struct, kw_only=True):
    """What was measured of one side in one round; None: not measured."""

    requests: Rate | None = None
    """Of many clients, not streamed."""
    one: Rate | None = None
    """Of one client, not streamed."""
    streams: Rate | None = None
    """Of many clients, all tokens sent at once."""
    paced: Paced | None = None
    held: Paced | None = None
    """More streams, for longer; in the first round alone."""
    resident_mib: float = 0.0
    """The most after any measure."""
    problems: list[str] = []
    """Why something was not measured."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway, or none."""

    name: str
    version: str
    turns: list[Turn]

    def median(self, look: Callable[[Turn], float | None]) -> float | None:
        """Of what `look` finds in each turn; None if that is nothing."""
        found = [value for turn in self.turns if (value := look(turn)) is not None]
        return median(found) if found else None

    @property
    def requests_per_second(self) -> float | None:
        return self.median(lambda turn: turn.requests and turn.requests.per_second)

    @property
    def request_microseconds(self) -> float | None:
        return self.median(lambda turn: turn.requests and turn.requests.microseconds)

    @property
    def streams_per_second(self) -> float | None:
        return self.median(lambda turn: turn.streams and turn.streams.per_second)

    @property
    def one_p50(self) -> float | None:
        """Milliseconds."""
        return self.median(lambda turn: turn.one and turn.one.p50)

    @property
    def one_p99(self) -> float | None:
        """Milliseconds."""
        return self.median(lambda turn: turn.one and turn.one.p99)

    @property
    def chunk_microseconds(self) -> float | None:
        return self.median(lambda turn: turn.paced and turn.paced.microseconds)

    @property
    def held(self) -> Paced | None:
        return next((turn.held for turn in self.turns if turn.held), None)

    @property
    def resident_mib(self) -> float:
        return max((turn.resident_mib for turn in self.turns), default=0.0)

    @property
    def problems(self) -> list[str]:
        """Each once."""
        return list(dict.fromkeys(problem for turn in self.turns for problem in turn.problems))


class Results(Run, frozen=True, kw_only=True):
    """One run."""

    plan: dict[str, float | int]
    commit_ms: float
    """Median time to append to a file and have it synced: what each durable record waits for."""
    sides: list[Side]

    def side(self, name: str) -> Side | None:
        return next((side for side in self.sides if side.name == name), None)

    def save(self, folder: Path) -> Path:
        return self.write(folder, KIND)
