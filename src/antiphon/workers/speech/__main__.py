"""`python -m antiphon.workers.speech`: load a Whisper model, then answer on a Unix socket."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from antiphon.workers.serve import serve
from antiphon.workers.speech.app import create
from antiphon.workers.speech.transcribe import Transcriber


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m antiphon.workers.speech", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="Unix socket, in a private folder")
    parser.add_argument("--model", type=Path, required=True, help="folder of a CTranslate2 Whisper model")
    parser.add_argument("--threads", type=int, default=1, help="processor threads, over all slots")
    parser.add_argument("--slots", type=int, default=1, help="recordings transcribed at once")
    parser.add_argument("--audio-seconds", type=float, default=3600.0, help="longest recording")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    transcriber = Transcriber(
        given.model, threads=given.threads, slots=given.slots, audio_seconds=given.audio_seconds
    )
    transcriber.warm_up()
    serve(create(transcriber, given.slots), given.socket)


if __name__ == "__main__":
    main()
