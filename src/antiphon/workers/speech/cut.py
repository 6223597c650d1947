"""From a stream of sound to the windows that are worth transcribing, cut where nobody speaks.

A frame (512 samples) is speech from the first one at `enter` or above to the last before one below `leave`.
A window holds speech and the pauses in it that are shorter than `pause`. What is longer than `window` is cut
at the best pause in its second half; without one, two windows share `overlap` seconds, so that every word
there is whole in one of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from antiphon.workers.speech.vad import FRAME, Vad
from antiphon.workers.speech.values import RATE, Window

Detector = Callable[[NDArray[np.int16]], NDArray[np.float32]]
"""What `Vad` is: takes the next samples, gives one probability for each whole frame, keeps the rest."""

SHORTEST_PAUSE = 0.1
"""Seconds; anything shorter is a consonant rather than a place to cut."""
_SLICE = RATE
"""Samples looked at in one go, however many come at once."""


class CutOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How sound becomes windows. Probabilities 0..1, times in seconds. Raises `ValueError` for nonsense."""

    enter: float = 0.4
    """From this probability on it is speech ..."""
    leave: float = 0.3
    """... until it falls below this one."""
    pause: float = 1.5
    """A silence so long ends a window."""
    window: float = 15.0
    """The longest speech, pauses included, in one window."""
    first: float = math.inf
    """The same of a recording's first window, if there is a pause to cut at: its text is waited for."""
    overlap: float = 1.5
    """What two windows share where there is no pause to cut at."""
    pad: float = 1.0
    """Silence kept before and after speech."""

    def __post_init__(self) -> None:
        if not 0 < self.leave <= self.enter <= 1:
            raise ValueError("leave and enter must be probabilities, leave the lower one")
        if self.window < 1 or self.pause <= 0 or self.pad < 0:
            raise ValueError("a window is a second or longer; pauses and pads are no negative times")
        if not 0 <= self.overlap <= self.window / 2:
            raise ValueError("an overlap is at most half a window")


class _Pause(msgspec.Struct):
    """Frames `first` to `last` (not included) of a silence; `depth` sums how far they are below speech."""

    first: int
    last: int
    depth: float


class _Open(msgspec.Struct):
    """The window that is being filled. `first` and `last` are frames: its speech, pauses included, so far."""

    start: int
    """Its first sample."""
    first: int
    last: int
    head: int = 0
    pauses: list[_Pause] = []


class Cutter:
    """The windows of one recording. Which pieces the sound comes in makes no difference to them.

    Holds at most the sound of one window and a few seconds, as int16. Every frame at `enter` or above is in a
    window; a window is at most `window` and two `pad` long; windows come in order and share only what `head`
    and `tail` say.
    """

    def __init__(self, options: CutOptions | None = None, vad: Detector | None = None) -> None:
        self._options = options = options or CutOptions()
        self._vad = vad or Vad()
        self._pad = round(options.pad * RATE)
        self._limit = int(options.window * RATE) // FRAME
        self._first = int(min(options.first, options.window) * RATE) // FRAME
        self._shared = round(options.overlap * RATE / FRAME)
        self._patience = max(1, round(options.pause * RATE / FRAME))
        longest = (self._limit + self._patience + 1) * FRAME + 2 * self._pad
        self._tape = _Tape(longest + 3 * _SLICE)
        self._frame = 0
        self._number = 0
        self._free = 0
        """The first sample that no window holds yet."""
        self._speaking = False
        self._open: _Open | None = None
        self._pause: _Pause | None = None
        """The silence that lasts now, while a window is open."""

    def feed(self, samples: NDArray[np.int16]) -> list[Window]:
        """Take the next samples (int16, 16 kHz, any number); the windows that are complete with them."""
        windows = []
        for at in range(0, len(samples), _SLICE):
            windows += self._take(samples[at : at + _SLICE])
        return windows

    def end(self) -> list[Window]:
        """The last windows. Nothing may be fed afterwards."""
        total = self._tape.end
        windows = self._take(np.zeros(-total % FRAME, np.int16))
        if self._open:
            windows.append(self._close(self._open, min(self._open.last * FRAME + self._pad, total)))
        return [_trimmed(window, total) for window in windows]

    def _take(self, samples: NDArray[np.int16]) -> list[Window]:
        self._tape.append(samples)
        windows = []
        for probability in self._vad(samples).tolist():
            window = self._step(probability)
            if window is not None:
                windows.append(window)
            self._frame += 1
        needed = self._open.start if self._open else max(self._free, self._frame * FRAME - self._pad)
        self._tape.forget(needed)
        return windows

    def _step(self, probability: float) -> Window | None:
        """One more frame, `self._frame`; the window that it ends, if any."""
        bar = self._options.leave if self._speaking else self._options.enter
        self._speaking = probability >= bar
        if self._speaking:
            return self._speak()
        return self._be_silent(self._open, probability) if self._open else None

    def _be_silent(self, window: _Open, probability: float) -> Window | None:
        pause = self._pause = self._pause or _Pause(self._frame, self._frame, 0.0)
        pause.last += 1
        pause.depth += self._options.enter - probability
        if pause.last - pause.first < self._patience:
            return None
        return self._close(window, min(window.last * FRAME + self._pad, pause.last * FRAME))

    def _speak(self) -> Window | None:
        if self._open is None:
            self._open = _Open(max(self._free, self._frame * FRAME - self._pad), self._frame, self._frame + 1)
            return None
        if self._pause and (self._pause.last - self._pause.first) * FRAME >= SHORTEST_PAUSE * RATE:
            self._open.pauses.append(self._pause)
        self._pause = None
        closed = None
        length = self._frame + 1 - self._open.first
        if length > self._limit:
            closed, self._open = self._divide(self._open, self._limit // 2)
        elif self._number == 0 and length > self._first and _late(self._open, self._first // 2):
            closed, self._open = self._divide(self._open, self._first // 2)
        self._open.last = self._frame + 1
        return closed

    def _divide(self, window: _Open, after: int) -> tuple[Window, _Open]:
        """Close the window, which would become too long, at a pause behind so many frames; the second is for
        what follows."""
        late = _late(window, after)
        if not late:
            # What is behind that is a pause too short to cut at.
            end = min(self._frame, window.first + self._limit)
            first, shared = end - self._shared, self._shared * FRAME
            closed = self._close(window, end * FRAME, tail=shared)
            return closed, _Open(first * FRAME, first, self._frame, head=shared)
        best = max(late, key=lambda pause: (pause.depth, pause.first))
        kept = min(self._pad, (best.last - best.first) * FRAME // 2)
        closed = self._close(window, best.first * FRAME + kept)
        # The pauses behind it lie in the first half of what follows, where none is a place to cut.
        return closed, _Open(best.last * FRAME - kept, best.last, self._frame)

    def _close(self, window: _Open, end: int, tail: int = 0) -> Window:
        closed = Window(
            number=self._number,
            start=window.start,
            samples=self._tape.copy(window.start, end),
            head=window.head,
            tail=tail,
        )
        self._number += 1
        self._free = end
        self._open = self._pause = None
        return closed


def _late(window: _Open, after: int) -> list[_Pause]:
    """The pauses behind so many of its frames."""
    return [pause for pause in window.pauses if pause.last > window.first + after]


def _trimmed(window: Window, total: int) -> Window:
    """The window without the zeros behind the recording's end that filled its last frame."""
    if window.end <= total:
        return window
    samples = window.samples[: total - window.start]
    return msgspec.structs.replace(window, samples=samples)


class _Tape:
    """The latest samples of a recording, at positions from its start, in a buffer of a fixed size."""

    def __init__(self, capacity: int) -> None:
        self._held = np.empty(capacity, np.int16)
        self._first = 0
        self._written = 0
        self._needed = 0

    @property
    def end(self) -> int:
        return self._first + self._written

    def append(self, samples: NDArray[np.int16]) -> None:
        if self._written + len(samples) > len(self._held):
            gone = self._needed - self._first
            self._held[: self._written - gone] = self._held[gone : self._written]
            self._first, self._written = self._needed, self._written - gone
        self._held[self._written : self._written + len(samples)] = samples
        self._written += len(samples)

    def forget(self, before: int) -> None:
        """Samples before this position will not be asked for."""
        self._needed = max(self._needed, before)

    def copy(self, start: int, end: int) -> NDArray[np.int16]:
        return self._held[start - self._first : end - self._first].copy()
