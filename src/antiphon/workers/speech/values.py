"""What travels through the speech engine: a recording's job, its windows, and what was heard in them."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from antiphon.values import Segment

RATE = 16_000
"""Samples a second, everywhere behind the decoder: mono, int16."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for one recording."""

    id: str
    organization: str
    """Whose turn it is when many wait; never a name that a log could hold."""
    model: str
    """A snapshot that this process serves."""
    task: Literal["transcribe", "translate"] = "transcribe"
    language: str | None = None
    """ISO 639-1; None lets the model decide."""
    prompt: str | None = None
    temperature: float = 0.0
    words: bool = False
    """Whether word timestamps are wanted."""


class Window(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A stretch of a recording that is transcribed in one go. Positions are samples from its start."""

    number: int
    """0, 1, 2 ... within the recording."""
    start: int
    samples: NDArray[np.int16]
    head: int = 0
    """Samples that it shares with the window before; 0 if it begins at a pause."""
    tail: int = 0
    """Samples that it shares with the window after; 0 if it ends at a pause."""

    @property
    def end(self) -> int:
        return self.start + len(self.samples)

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


class Rung(msgspec.Struct, frozen=True):
    """One try at a window; the next one is tried when the result looks wrong."""

    temperature: float = 0.0
    full: bool = False
    """Whether the encoder reads its full 30 s, silence and all, as it was trained to. Then the window may
    also be in another language than its recording."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """The text of one window. Times are seconds of the recording; words where a job or a seam needs them."""

    segments: tuple[Segment, ...]
    language: str
    """ISO 639-1."""
    certainty: float = 1.0
    """How sure the model is of the language, 0..1; 1 where it was told."""
