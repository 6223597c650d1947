"""`python -m antiphon.workers.speech`: load Whisper models, then answer at an address."""

from __future__ import annotations

import logging
import os

from antiphon.workers.speech import isa, options


def main() -> None:
    given = options.read()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    isa.choose()
    # Lanes are the parallelism: OpenMP's own threads would only be in their way.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Only now: CTranslate2 reads both when it is imported.
    from antiphon.workers.speech.engine import serve_speech

    serve_speech(given)


if __name__ == "__main__":
    main()
