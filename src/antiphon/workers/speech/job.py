"""One recording in work: what is asked of it, and the flag that ends it early."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from antiphon.errors import ClientGone


@dataclass(eq=False, kw_only=True)
class Job:
    """A recording to transcribe or translate; `language` is ISO 639-1, None lets the model decide."""

    file: BinaryIO
    task: Literal["transcribe", "translate"] = "transcribe"
    language: str | None = None
    prompt: str | None = None
    temperature: float = 0.0
    words: bool = False
    stepped: float = field(default_factory=time.monotonic)
    """When the work last moved on, on the monotonic clock."""
    _cancelled: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """End the work at its next step. May be called from any thread, more than once."""
        self._cancelled.set()

    def step(self) -> None:
        """To be called before every piece of work. Raises `ClientGone` once the job is cancelled."""
        if self._cancelled.is_set():
            raise ClientGone("The client has gone.")
        self.stepped = time.monotonic()
