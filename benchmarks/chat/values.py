"""What a run of the chat benchmarks measured, as the JSON file of its results holds it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.figures import median
from benchmarks.runs import Run

KIND = "chat"
ANTIPHON = "Antiphon"
SHIPPED = "llama.cpp"
REQUANTIZED = "llama.cpp, Q4_0"
REFERENCE = "llama.cpp, F32"
"""What the weights of the file say, without the rounding of any engine's arithmetic."""
SIDES = (ANTIPHON, SHIPPED, REQUANTIZED)


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One load on one side, once; times in seconds."""

    seconds: float
    prompt_tokens: int
    """Of one request, the median."""
    completion_tokens: int
    """Of all."""
    first_p50: float
    first_p99: float
    """From a request to its first piece of text."""
    gap_p50: float
    gap_p99: float
    """Between two pieces of one answer."""
    peak_mib: float = 0.0
    """The most that the side ever had resident by then; of Antiphon, gateway and chat engine."""

    @property
    def tokens_per_second(self) -> float:
        return self.completion_tokens / self.seconds


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One load on one side."""

    load: str
    """A part of the plan."""
    clients: int
    side: str
    rounds: list[Round]

    def median(self, look: Callable[[Round], float]) -> float:
        return median([look(one) for one in self.rounds])


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """Greedy answers of one side beside the reference's."""

    side: str
    questions: int
    same: int
    """Answers that are the same to the last character."""
    shared: float
    """Mean share of an answer that is the same from its beginning."""


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    agreement: list[Agreement]
    perplexity: float | None
    """Of the prepared model; None where the engine reads the file as it is."""
    reference_perplexity: float | None
    """Of the file's weights in 16 bits, in the same engine."""


class Results(Run, frozen=True, kw_only=True):
    """One run."""

    engine: str
    """That Antiphon chose, and its version."""
    threads: int
    plan: dict[str, float | int | tuple[int, ...]]
    rows: list[Row]
    quality: Quality | None = None

    def row(self, load: str, clients: int, side: str) -> Row | None:
        wanted = (load, clients, side)
        return next((row for row in self.rows if (row.load, row.clients, row.side) == wanted), None)

    @property
    def memory_mib(self) -> dict[str, float]:
        """The most that each side ever had resident."""
        sides = dict.fromkeys(row.side for row in self.rows)
        return {
            side: max(one.peak_mib for row in self.rows if row.side == side for one in row.rounds)
            for side in sides
        }

    def save(self, folder: Path) -> Path:
        return self.write(folder, KIND)
