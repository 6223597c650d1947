"""`python -m antiphon.workers.chat`: load a prepared model, then answer at an address."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from starlette.applications import Starlette

from antiphon.address import listening
from antiphon.tokens.encoder import Encoder
from antiphon.workers.chat import options, tokenizer
from antiphon.workers.chat.app import create
from antiphon.workers.chat.pipeline import OpenvinoPipeline
from antiphon.workers.chat.scheduler import Scheduler
from antiphon.workers.serve import serve

CHOICES = 8
"""Requests that one slot's holder may send at once: one for each of the `n` choices of a chat."""
MOST_SEQUENCES = 256
"""Computed in one step."""
EXTRA = 4
"""Requests beyond the slots that are let in: the gateway's count and ours differ for moments."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m antiphon.workers.chat", description=__doc__)
    parser.add_argument("--listen", type=listening, required=True, help="unix:/PATH, or tcp:HOST:PORT")
    parser.add_argument("--model", type=Path, required=True, help="folder made by .prepare")
    parser.add_argument("--context", type=int, required=True, help="tokens of prompt and answer")
    parser.add_argument("--slots", type=int, required=True, help="requests served at once")
    parser.add_argument("--cache-tokens", type=int, required=True, help="tokens kept in memory, of all")
    parser.add_argument("--threads", type=int, required=True, help="processor threads")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    vocabulary = tokenizer.load(given.model)
    # SIGTERM lets those who were told of the failure read it; then the process ends and is started anew.
    scheduler = Scheduler(
        partial(_loaded, given, vocabulary),
        most=(given.slots + EXTRA) * CHOICES,
        on_failure=partial(os.kill, os.getpid(), signal.SIGTERM),
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        scheduler.start()
        try:
            yield
        finally:
            await asyncio.to_thread(scheduler.close)

    serve(create(scheduler, vocabulary, given.context, lifespan), given.listen)


def _loaded(given: argparse.Namespace, vocabulary: Encoder) -> OpenvinoPipeline:
    pipeline = OpenvinoPipeline(
        given.model,
        cache_tokens=given.cache_tokens,
        threads=given.threads,
        sequences=min(MOST_SEQUENCES, given.slots * CHOICES),
    )
    trial = options.Completion(prompt=vocabulary.encode(["Once upon a time"]), n_predict=1, temperature=0)
    pipeline.try_out(trial.prompt, options.generation(trial, vocabulary.ends))
    return pipeline


if __name__ == "__main__":
    main()
