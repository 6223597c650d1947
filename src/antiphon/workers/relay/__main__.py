"""`python -m antiphon.workers.relay`: pass recordings on to a server of OpenAI's API.

They are opened and decoded here first, in confined children as the speech engine's are: what is no recording,
or too long, goes no further, and what is paid is what was measured here.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette

from antiphon.address import listening
from antiphon.workers.relay.desk import Desk
from antiphon.workers.relay.server import Server
from antiphon.workers.serve import serve
from antiphon.workers.speech.app import create
from antiphon.workers.speech.decoder import Decoders


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m antiphon.workers.relay")
    parser.add_argument("--listen", type=listening, required=True, help="unix:/PATH, or tcp:HOST:PORT")
    parser.add_argument("--model", required=True, help="the snapshot that it serves")
    parser.add_argument("--url", required=True, help="where it is served, as far as /v1")
    parser.add_argument("--name", required=True, help="what the model is called there")
    parser.add_argument("--key-file", type=Path, help="a file with the key that is shown there")
    parser.add_argument("--slots", type=int, default=1, help="recordings in work at once")
    parser.add_argument("--audio-seconds", type=float, default=3600.0, help="longest recording")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    key = given.key_file.read_text(encoding="utf-8").strip() if given.key_file else ""
    server = Server(given.url, given.name, key)
    serve(built(server, given.model, given.slots, given.audio_seconds), given.listen)


def built(server: Server, model: str, slots: int, audio_seconds: float) -> Starlette:
    """The application. Its lifespan starts and ends the decoders, and asks whether the server is well."""
    decoders = Decoders(slots + Desk.EXTRA)
    desk = Desk(decoders, server, model, slots=slots, audio_seconds=audio_seconds)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            await decoders.start()
            async with server.watched():
                yield
        finally:
            await decoders.close()

    return create(desk, lifespan)


if __name__ == "__main__":
    main()
