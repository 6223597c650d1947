"""`Idempotency-Key`: a request that is sent twice is answered from the first, and charged once.

The first request with a key is not cancelled when its client goes away: it runs to its end, so that a retry
can be answered. Its frames count as handed over once they are kept. Answers are kept in the memory of one
process; that a key was used, and for what, is kept in the database, so that no other process charges it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NoReturn, Protocol

from antiphon.api import envelope
from antiphon.api.exchange import Exchange
from antiphon.api.recording import MOST_ANSWERS, Answers, Entry
from antiphon.errors import AntiphonError, InvalidRequest, Unavailable
from antiphon.ledger.claims import Claim, Ended, InFlight, Mismatch

HEADER = "Idempotency-Key"
LONGEST_KEY = 255
ELSEWHERE_SECONDS = 60.0
"""Longest wait for a request that another process answers: a process that died is given up before."""
LOOK_SECONDS = 0.5

_log = logging.getLogger("antiphon.api")


class Claims(Protocol):
    """Which keys were used, in the database. Every method may raise `Unavailable` or `StorageFull`."""

    async def claim(self, digest: bytes, fingerprint: bytes, request_id: str) -> Claim:
        """Take a key for a request, if nobody has it."""

    async def end(self, digest: bytes, request_id: str) -> None:
        """The request is charged: its key stays used."""

    async def drop(self, digest: bytes, request_id: str) -> None:
        """The request costs nothing: its key is free again, if it had it."""


class Idempotency:
    """Answers requests that carry a key once, and their retries from the first."""

    def __init__(self, claims: Claims, answers: Answers | None = None) -> None:
        self._claims = claims
        self._answers = answers or Answers()
        self._undropped: dict[bytes, str] = {}
        """Requests that failed, and whose keys could not be freed."""

    async def answer(
        self, exchange: Exchange, content: Sequence[bytes | Path], work: Callable[[], Awaitable[None]]
    ) -> None:
        """Let `work` write the answer, unless an earlier request with the same key has.

        `content` is what makes the request this one: texts, and files. Raises `InvalidRequest` for a key that
        cannot be one, was used for another content, or whose answer is not kept any longer; else what `work`
        raises, or the first request's `work`, if that is still running.
        """
        key = exchange.headers.get(HEADER.lower())
        if key is None:
            return await work()
        digest = _digest(exchange.known_caller.project_id, key)
        fingerprint = await asyncio.to_thread(_fingerprint, exchange.method, exchange.path, content)
        entry = self._answers.find(digest)
        if entry is None:
            await self._first(exchange, digest, fingerprint, work)
        elif entry.fingerprint != fingerprint:
            _refuse_other_content()
        else:
            await self._retry(exchange, entry)

    async def _first(
        self, exchange: Exchange, digest: bytes, fingerprint: bytes, work: Callable[[], Awaitable[None]]
    ) -> None:
        entry = self._answers.begin(digest, fingerprint)
        exchange.persists = True
        try:
            await self._claim(digest, fingerprint, exchange.id)
            exchange.recording = entry.recording
            await _run(exchange, work)
        except Exception as problem:
            await self._drop(digest, exchange.id)
            error = envelope.known(problem, exchange.id)
            self._answers.finish(digest, error)
            raise error from problem
        except asyncio.CancelledError:
            # The process ends, and with its epoch the key is used if the request was charged, else free.
            self._answers.finish(digest, Unavailable("The server is shutting down.", retry_after=1))
            raise
        self._answers.finish(digest)
        await self._logged(self._claims.end(digest, exchange.id))

    async def _claim(self, digest: bytes, fingerprint: bytes, request_id: str) -> None:
        """Return once the key is this request's. Raises `InvalidRequest` or `Unavailable`."""
        if digest in self._undropped:
            await self._claims.drop(digest, self._undropped[digest])
            del self._undropped[digest]
        give_up = time.monotonic() + ELSEWHERE_SECONDS
        while True:
            match await self._claims.claim(digest, fingerprint, request_id):
                case Mismatch():
                    _refuse_other_content()
                case Ended():
                    _refuse_expired()
                case InFlight() if time.monotonic() < give_up:
                    await asyncio.sleep(LOOK_SECONDS)
                case InFlight():
                    raise Unavailable("The first request with this key is still running.", retry_after=5)
                case _:
                    return

    async def _drop(self, digest: bytes, request_id: str) -> None:
        if not await self._logged(self._claims.drop(digest, request_id)):
            # One that is there already has the key: this request was not given it.
            self._undropped.setdefault(digest, request_id)
            if len(self._undropped) > MOST_ANSWERS:
                del self._undropped[next(iter(self._undropped))]

    async def _logged(self, writing: Awaitable[None]) -> bool:
        """Whether it was written. What is not is made good when the process's epoch is closed."""
        try:
            await writing
        except AntiphonError as problem:
            _log.warning("the end of an idempotency key could not be recorded: %s", problem)
            return False
        return True

    async def _retry(self, exchange: Exchange, entry: Entry) -> None:
        await entry.over.wait()  # which the deadlines of the first request bound
        if entry.error is not None:
            raise entry.error
        recording = entry.recording
        if not recording.kept:
            _refuse_expired()
        exchange.answer_headers["idempotent-replayed"] = "true"
        if recording.streams:
            await exchange.write(bytes(recording.body))
            await exchange.end()
        else:
            await exchange.answer(bytes(recording.body), recording.content_type)


async def _run(exchange: Exchange, work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except Exception as problem:
        if not exchange.streams:
            raise
        # What was handed over is charged: a retry is told the same, and not charged again.
        await exchange.fail(problem)


def _digest(project_id: str, key: str) -> bytes:
    if not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise InvalidRequest(
            f"The header '{HEADER}' must have 1 to {LONGEST_KEY} printable ASCII characters.",
            param=HEADER,
            code="invalid_idempotency_key",
        )
    return hashlib.sha256(f"{project_id}\0{key}".encode()).digest()


def _fingerprint(method: str, path: str, content: Sequence[bytes | Path]) -> bytes:
    """A digest of the digests of all parts, so that none can run over into the next."""
    whole = hashlib.sha256()
    for part in (method.encode(), path.encode(), *content):
        whole.update(_file_digest(part) if isinstance(part, Path) else hashlib.sha256(part).digest())
    return whole.digest()


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _refuse_other_content() -> NoReturn:
    raise InvalidRequest(
        f"The header '{HEADER}' has a key that was used for another request.",
        param=HEADER,
        code="idempotency_key_in_use",
    )


def _refuse_expired() -> NoReturn:
    raise InvalidRequest(
        f"The request with this '{HEADER}' was answered and charged, but its answer is not kept any longer. "
        "This retry was not charged. Use a new key to send the request anew.",
        param=HEADER,
        code="idempotency_result_expired",
    )
