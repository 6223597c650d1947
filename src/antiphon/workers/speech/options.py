"""What the process is told on its command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import msgspec

from antiphon.address import Address, listening

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "int8", "int8_float16", "float16", "bfloat16", "float32"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes are bytes, times seconds."""

    listen: Address
    models: Mapping[str, Path]
    """Folders of CTranslate2 Whisper models, by the id of their snapshot."""
    threads: int = 1
    """Lanes: each transcribes one batch at a time, with one thread."""
    slots: int = 1
    """Recordings in work at once."""
    audio_seconds: float = 3600.0
    memory: int = 0
    """For all models together; 0 means half of the machine's."""
    device: Device = "auto"
    """Where models run; "auto" takes a GPU if CTranslate2 finds one."""
    precision: Precision = "auto"
    """Of their arithmetic; "auto" is int8 on a processor and float16 on a GPU."""
    beam: int = 5
    window: float = 15.0
    pad: float = 3.0
    floor: float = 5.0
    step: float = 1.0
    batch_seconds: float = 0.5

    @property
    def budget(self) -> int:
        return self.memory or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def read(arguments: Sequence[str] | None = None) -> Options:
    """The options given, or an end with a usage message."""
    parser = argparse.ArgumentParser(
        prog="python -m antiphon.workers.speech",
        description="Load Whisper models, then answer at an address.",
    )
    parser.add_argument("--listen", type=listening, required=True, help="unix:/PATH, or tcp:HOST:PORT")
    parser.add_argument(
        "--model",
        type=_model,
        action="append",
        required=True,
        dest="models",
        metavar="ID=FOLDER",
        help="snapshot and the folder of its CTranslate2 model; may be given again",
    )
    parser.add_argument("--threads", type=int, default=1, help="processor threads, one for each lane")
    parser.add_argument("--slots", type=int, default=1, help="recordings in work at once")
    parser.add_argument("--audio-seconds", type=float, default=3600.0, help="longest recording")
    parser.add_argument("--memory", type=int, default=0, help="bytes for models; 0: half of the machine's")
    parser.add_argument("--device", choices=get_args(Device), default="auto", help="where models run")
    precisions = get_args(Precision)
    parser.add_argument("--precision", choices=precisions, default="auto", help="of the models' arithmetic")
    parser.add_argument("--beam", type=int, default=5, help="width of the search; 1 is greedy")
    parser.add_argument("--window", type=float, default=15.0, help="longest stretch in one go, in seconds")
    parser.add_argument("--pad", type=float, default=3.0, help="seconds encoded behind a window's end")
    parser.add_argument("--floor", type=float, default=5.0, help="seconds encoded at least")
    parser.add_argument("--step", type=float, default=1.0, help="seconds to which they are rounded up")
    parser.add_argument("--batch-seconds", type=float, default=0.5, help="longest batch, as predicted")
    given = vars(parser.parse_args(arguments))
    return Options(**given | {"models": dict(given["models"])})


def _model(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if not (name and separator and folder):
        raise argparse.ArgumentTypeError(f"'{text}' is not ID=FOLDER")
    return name, Path(folder)
