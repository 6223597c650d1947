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
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn, Protocol

import msgspec

from antiphon.api import envelope
from antiphon.api.exchange import PIECE, Exchange
from antiphon.api.recording import MOST_ANSWERS, Answers, Entry
from antiphon.errors import AntiphonError, InvalidRequest, Unavailable
from antiphon.ledger.claims import Claim, Ended, InFlight, Mismatch

HEADER = "Idempotency-Key"
LONGEST_KEY = 255
PATIENCE_SECONDS = 60.0
"""Longest wait for the first request of a key. One whose process died is given up before."""
LOOK_SECONDS = 0.5
AT_ONCE = 2
"""Claims that are written at once: keys must not take the database from those who send none."""
TURN_SECONDS = 5.0
"""Longest wait for the turn to write one."""

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
        self._keys = _Keys(claims)
        self._answers = answers or Answers()

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
        entry = self._answers.begin(digest, fingerprint, exchange.began_at)
        policy = exchange.known_caller.policy
        exchange.persists = True
        try:
            await self._keys.take(digest, fingerprint, exchange.id)
            exchange.recording = entry.recording
            await _run(exchange, work)
        except Exception as problem:
            # One that was charged all the same keeps its key: its retry must not be charged again.
            await self._keys.over(digest, exchange.id, used=entry.recording.charged())
            error = envelope.known(problem, exchange.id)
            self._answers.finish(digest, policy, error)
            raise error from problem
        except asyncio.CancelledError:
            # The process ends, and with its epoch the key is used if the request was charged, else free.
            stopped = Unavailable("The server is shutting down.", retry_after=1)
            self._answers.finish(digest, policy, stopped)
            raise
        self._answers.finish(digest, policy)
        await self._keys.over(digest, exchange.id, used=True)

    async def _retry(self, exchange: Exchange, entry: Entry) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await entry.over.wait()
        except TimeoutError:
            raise _still_running() from None
        if entry.error is not None:
            raise entry.error
        recording, caller = entry.recording, exchange.known_caller
        if not self._answers.may_give(entry, caller.policy, caller.erased_at):
            _refuse_expired()
        body = bytes(recording.body)  # not copied; and sent to its end, even if it is forgotten meanwhile
        exchange.answer_headers["idempotent-replayed"] = "true"
        exchange.result_headers.update(recording.headers)
        if recording.streams:
            for start in range(0, len(body), PIECE):
                await exchange.write(body[start : start + PIECE])
            await exchange.end()
        else:
            await exchange.answer(body, recording.content_type)


class _Over(msgspec.Struct, frozen=True):
    """A request that is over: its key stays `used`, or is free again."""

    request_id: str
    used: bool


class _Keys:
    """The claims, a few at a time; the end of a request that could not be recorded is with a later one's."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._unrecorded: dict[bytes, _Over] = {}

    async def take(self, digest: bytes, fingerprint: bytes, request_id: str) -> None:
        """Return once the key is this request's. Raises `InvalidRequest`, or what `Claims` does."""
        if (before := self._unrecorded.get(digest)) is not None:
            await self._record(digest, before)
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            async with self._turn():
                found = await self._claims.claim(digest, fingerprint, request_id)
            match found:
                case Mismatch():
                    _refuse_other_content()
                case Ended():
                    _refuse_expired()
                case InFlight() if time.monotonic() < give_up:
                    await asyncio.sleep(LOOK_SECONDS)
                case InFlight():
                    raise _still_running()
                case _:
                    return

    async def over(self, digest: bytes, request_id: str, *, used: bool) -> None:
        """Record that a request is over; if that fails it is tried again, and at last when the epoch ends."""
        if await self._recorded(digest, _Over(request_id, used)) and self._unrecorded:
            await self._recorded(*next(iter(self._unrecorded.items())))

    async def _recorded(self, digest: bytes, over: _Over) -> bool:
        try:
            await self._record(digest, over)
        except AntiphonError as problem:
            _log.warning("the end of an idempotency key could not be recorded: %s", problem)
            # One that is there already has the key: this request was not given it.
            self._unrecorded.setdefault(digest, over)
            if len(self._unrecorded) > MOST_ANSWERS:
                del self._unrecorded[next(iter(self._unrecorded))]
            return False
        return True

    async def _record(self, digest: bytes, over: _Over) -> None:
        async with self._turn():
            await (self._claims.end if over.used else self._claims.drop)(digest, over.request_id)
        if self._unrecorded.get(digest) == over:
            del self._unrecorded[digest]

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("Too many requests with an idempotency key at once.", retry_after=1) from None
        try:
            yield
        finally:
            self._turns.release()


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


def _still_running() -> Unavailable:
    return Unavailable("The first request with this key is still running.", retry_after=5)


def _refuse_expired() -> NoReturn:
    raise InvalidRequest(
        f"The request with this '{HEADER}' was answered and charged, but its answer is not kept any longer. "
        "This retry was not charged. Use a new key to send the request anew.",
        param=HEADER,
        code="idempotency_result_expired",
    )
