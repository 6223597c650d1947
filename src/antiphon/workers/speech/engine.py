"""The speech engine put together: models, lanes, decoders, the desk, and the HTTP application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from antiphon.workers.serve import serve
from antiphon.workers.speech import vad
from antiphon.workers.speech.app import create
from antiphon.workers.speech.decoder import Decoders
from antiphon.workers.speech.desk import EXTRA, Desk, ahead
from antiphon.workers.speech.lanes import Lanes
from antiphon.workers.speech.options import Options
from antiphon.workers.speech.schedule import Schedule
from antiphon.workers.speech.transcriber import Transcriber

ROWS = 16
"""Most windows in a batch; their predicted time is the bound that counts."""
CLOSE_SECONDS = 2.0
"""How long the end waits for batches that run: what is native in them must not outlive the interpreter."""


def serve_speech(options: Options) -> None:
    """Load the models, then serve until SIGTERM."""
    transcriber = Transcriber(options)
    transcriber.warm_up()
    vad.network()  # that it is missing shows now, and no request waits for it
    serve(built(options, transcriber), options.listen)


def built(options: Options, transcriber: Transcriber) -> Starlette:
    """The application. Its lifespan starts and ends the decoders and the lanes."""
    # As many as the desk lets in: whoever is let in finds a decoder, when scanned and when transcribed.
    decoders = Decoders(options.slots + EXTRA)
    lanes = Lanes(
        transcriber.hear,
        transcriber.lanes,
        schedule=Schedule(ROWS, options.batch_seconds),
        # All that the desk ever submits: of each recording, what waits in its line and one more.
        most=(options.slots + EXTRA) * (ahead(options.threads, options.window) + 2),
        renew=transcriber.renew,
    )
    desk = Desk(
        decoders,
        transcriber,
        lanes,
        slots=options.slots,
        audio_seconds=options.audio_seconds,
        window=options.window,
        threads=options.threads,
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            await decoders.start()
            yield
        finally:
            desk.close()
            await asyncio.to_thread(lanes.close, CLOSE_SECONDS)
            await decoders.close()

    return create(desk, lifespan)
