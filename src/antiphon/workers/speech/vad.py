"""Where there is speech: Silero's detector on a stream of sound, one probability for each frame of 32 ms."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from antiphon.errors import ConfigurationError

FRAME = 512
"""Samples a frame."""
RENEWED = 96
"""Frames (3 s) after which the memory starts afresh: its certainty sinks during long speech."""
RUN_IN = 24
"""Frames heard once more by a fresh memory, unreported: it is deaf at first."""
_CONTEXT = 64
"""Samples of the frame before that the network reads with each frame."""


class Vad:
    """A detector that listens to one recording. The network is loaded once and shared by all of them.

    Which pieces the sound comes in makes no difference to the probabilities. Raises `ConfigurationError`
    if the network is not installed.
    """

    def __init__(self) -> None:
        self._network = network()
        self._rest = np.zeros(0, np.int16)
        self._context = np.zeros(_CONTEXT, np.float32)
        self._heard = np.zeros((0, _CONTEXT + FRAME), np.float32)
        self._hidden, self._cell = _blank(), _blank()
        self._count = 0

    def __call__(self, samples: NDArray[np.int16]) -> NDArray[np.float32]:
        """How likely each whole frame is speech, 0..1; what does not fill one is kept for the next call.

        `samples` are int16 at 16 kHz. Frame n of all that were given holds samples 512 n to 512 (n + 1).
        """
        found = []
        filled = (len(self._rest) + len(samples)) // FRAME * FRAME
        taken = 0
        while taken < filled:
            room = (RENEWED - self._count) * FRAME
            until = min(filled, taken + room)
            first = max(0, taken - len(self._rest))
            piece = samples[first : until - len(self._rest)]
            if taken == 0:
                piece = np.concatenate([self._rest, piece])
            found.append(self._judge(self._rows(piece)))
            taken = until
        if filled:
            # A copy, so that a long piece does not live on for its last samples.
            self._rest = samples[filled - len(self._rest) :].copy()
        else:
            self._rest = np.concatenate([self._rest, samples])
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def _rows(self, samples: NDArray[np.int16]) -> NDArray[np.float32]:
        """Frames as the network reads them: (frames, 576), each with the end of the one before in front."""
        frames = samples.astype(np.float32).reshape(-1, FRAME) / np.float32(32768)
        ends = frames[:, -_CONTEXT:]
        contexts = np.concatenate([self._context[None], ends[:-1]])
        self._context = ends[-1].copy()
        return np.concatenate([contexts, frames], axis=1)

    def _judge(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        heard = np.concatenate([self._heard, rows])
        if self._count == 0:
            self._hidden, self._cell = _blank(), _blank()
        given = heard if self._count == 0 else rows
        fed = {"input": given, "h": self._hidden, "c": self._cell}
        found, self._hidden, self._cell = self._network.run(None, fed)
        self._heard = heard[-RUN_IN:].copy()
        self._count = (self._count + len(rows)) % RENEWED
        probabilities: NDArray[np.float32] = found.reshape(-1)[-len(rows) :]
        return probabilities


def _blank() -> NDArray[np.float32]:
    return np.zeros((1, 1, 128), np.float32)


@cache
def network() -> Any:
    """The session that runs the network; any number of threads may use it at once.

    Raises `ConfigurationError` if it is not installed.
    """
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(_asset()), options, providers=["CPUExecutionProvider"])


def _asset() -> Path:
    """The network's file in faster-whisper's package, which is not imported for it."""
    package = find_spec("faster_whisper")
    for folder in (package and package.submodule_search_locations) or ():
        path = Path(folder) / "assets" / "silero_vad_v6.onnx"
        if path.is_file():
            return path
    raise ConfigurationError(
        "The speech detector is not installed.",
        fix="Reinstall the package faster-whisper, version 1.2.1 or newer.",
    )
