"""What a run of the benchmarks on vLLM measured, as the JSON file of its results holds it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.chat.values import Agreement, Row
from benchmarks.runs import Run

KIND = "vllm"
ANTIPHON = "Antiphon"
BARE = "vLLM alone"
SIDES = (ANTIPHON, BARE)
PARTS = ("starts", "clients", "answers", "checks", "contract")

Options = dict[str, str | bool]


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds until a side was ready."""

    side: str
    seconds: float
    compiled: bool
    """Whether vLLM found what an earlier start had compiled."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Two conversations with one system prompt, in tokens: how many of each were found computed."""

    prompt: int
    first: int
    second: int


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds to the first token of one request: of an idle engine, and when as many clients as it has
    places have left in the middle of their answers."""

    clients: int
    idle: float
    after: float


class Forms(msgspec.Struct, frozen=True, kw_only=True):
    """Answers that were asked to be of a form, and those that were."""

    asked: int
    schemas: int
    """Values that their schema allows."""
    calls: int
    """Calls of a function, with arguments that it allows."""


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """The tests that every chat engine has to pass, over the real one."""

    passed: int
    skipped: int
    failed: int
    seconds: float


class Results(Run, frozen=True, kw_only=True):
    """One run. None, or nothing: not measured."""

    vllm: str
    """Its version."""
    options: Options
    """What it was told besides, as the catalogue has it."""
    plan: dict[str, float | int | tuple[int, ...]]
    starts: list[Start] = []
    rows: list[Row] = []
    agreement: Agreement | None = None
    kept: Kept | None = None
    left: Left | None = None
    forms: Forms | None = None
    contract: Contract | None = None

    def row(self, clients: int, side: str) -> Row | None:
        return next((row for row in self.rows if (row.clients, row.side) == (clients, side)), None)

    def save(self, folder: Path) -> Path:
        return self.write(folder, KIND)
