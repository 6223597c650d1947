"""A minimal server around faster-whisper, as its users write one: a route, a model, a pool of threads.

python -m benchmarks.speech.minimal --port N --model FOLDER --threads N --beam N
"""

from __future__ import annotations

import argparse

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.speech.peer import Transcriber


def application(transcriber: Transcriber) -> Starlette:
    async def transcriptions(request: Request) -> JSONResponse:
        async with request.form() as form:
            upload = form["file"]
            if not isinstance(upload, UploadFile):
                return JSONResponse({"error": "file is not a file"}, 400)
            answer = await run_in_threadpool(transcriber.transcribe, upload.file)
        return JSONResponse({"text": answer.text})

    async def health(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/v1/audio/transcriptions", transcriptions, methods=["POST"]),
            Route("/health", health),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speech.minimal")
    parser.add_argument("--model", required=True)
    for name in ("--port", "--threads", "--beam"):
        parser.add_argument(name, type=int, required=True)
    given = parser.parse_args()
    transcriber = Transcriber(given.model, given.threads, workers=1, beam=given.beam, batched=False)
    uvicorn.run(application(transcriber), host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
