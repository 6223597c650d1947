"""Scores what goes in and out, beside the requests: from a bounded queue, at a bounded rate.

Nothing is lost below these bounds; what exceeds them is counted, and told in the log.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import secrets
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

import msgspec

from antiphon.errors import AntiphonError
from antiphon.moderation.policy import REPEATED, Found, strongest
from antiphon.moderation.repeats import Repeats, digest
from antiphon.moderation.scoring import Panel
from antiphon.moderation.texts import Piece, pieces
from antiphon.values import Caller, Observation

MOST_BYTES = 16 * 1024 * 1024
"""Of content that waits: beside the number of requests, which may be long."""
MOST_RECORDED = 256 * 1024 * 1024
"""Of recordings whose digests are being taken. None of them has a name any more."""
MOST_OPEN = 256
"""And how many that are: descriptors are scarce."""
MOST_TEXTS = 2048
"""Of one request, new ones: as many as a request for embeddings may have."""
TRIES = 5
_AGAIN = 2.0
"""Seconds until what failed is tried again, and twice as long after each further time."""
_BEHIND = 1.0
"""Seconds that are made up for, at most, where requests took longer than the rate allows for each."""
_TELL_SECONDS = 60.0
_REMEMBERED = 20_000
_FLOOR = 0.2
"""Scores below are nobody's threshold worth telling of."""

log = logging.getLogger(__name__)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in one request: whose it is, and never its content."""

    request_id: str | None
    caller: Caller
    snapshot: str
    findings: Sequence[Found]
    detail: str = ""
    at: float


Act = Callable[[Seen], Awaitable[object]]


class _Waiting(msgspec.Struct, frozen=True):
    """`size` is of its content in memory. `recording` gives the digest of its recording, if it had one."""

    seen: Observation
    size: int
    recording: asyncio.Future[bytes] | None


class _Away(Exception):
    """A scorer could not be asked."""


class Monitor:
    """An `Observer`. `act` is called with every request in which something was found.

    `outcomes` counts requests: scored, unseen (there was no room, for it or for all of its texts), failed
    (not every scorer could be asked), and those whose recording could not be read.
    """

    def __init__(self, panel: Panel, act: Act, *, rate: float, queue: int, repeats: int) -> None:
        self._panel = panel
        self._act = act
        self._pause = 1 / rate
        self._most = queue
        self._waiting: deque[_Waiting] = deque()
        self._bytes = self._recorded = self._open = 0
        # One thread of its own: what is hashed must not take those that answers need.
        self._hashing = ThreadPoolExecutor(1, "monitor")
        self._due = 0.0
        self._away = False
        self._came = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._repeats = Repeats(repeats)
        self._salt = secrets.token_bytes(16)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self.outcomes: Counter[str] = Counter({"scored": 0, "unseen": 0, "failed": 0, "unheard": 0})
        self._told: Counter[str] = Counter()

    # --- on the path of requests ----------------------------------------------------------------------------

    def wants(self, caller: Caller) -> bool:
        return True

    def observe(self, seen: Observation) -> None:
        """Put it into the queue, if there is room."""
        size = len(seen.asked) + len(seen.answered) + sum(map(len, seen.heard.values()))
        if len(self._waiting) >= self._most or self._bytes + size > MOST_BYTES:
            self.outcomes["unseen"] += 1
            return
        self._bytes += size
        self._waiting.append(_Waiting(seen, size, self._hashed(seen.recording)))
        self._came.set()
        self._idle.clear()

    def _hashed(self, recording: Path | None) -> asyncio.Future[bytes] | None:
        """The digest of an upload, if there is room. It is taken at once, from what is open: the upload loses
        its name in a moment, and nothing of it may stay in a folder until its turn comes."""
        if recording is None:
            return None
        try:
            file = recording.open("rb")
        except OSError as problem:
            log.warning("a recording could not be opened (%s)", problem.strerror)
            self.outcomes["unheard"] += 1
            return None
        size = os.fstat(file.fileno()).st_size
        if self._open == MOST_OPEN or self._recorded + size > MOST_RECORDED:
            file.close()
            self.outcomes["unheard"] += 1
            return None
        self._open += 1
        self._recorded += size
        found = asyncio.get_running_loop().run_in_executor(self._hashing, digest, file)
        found.add_done_callback(partial(self._closed, size))
        return found

    def _closed(self, size: int, found: asyncio.Future[bytes]) -> None:
        self._open -= 1
        self._recorded -= size
        if not found.cancelled():
            found.exception()  # it is told to whoever awaits the digest, which may be nobody by now

    # --- beside them ----------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def run(self) -> NoReturn:
        """Until cancelled: one request after the other."""
        self._due = time.monotonic()
        tell_at = self._due + _TELL_SECONDS
        while True:
            await self._next()
            if time.monotonic() >= tell_at:
                tell_at = time.monotonic() + _TELL_SECONDS
                self._tell()

    async def drain(self, seconds: float) -> None:
        """Score what waits, for so long at most; what is left is counted as unseen."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._waiting:
                    await self._next(paced=False)
        self.outcomes["unseen"] += len(self._waiting)
        while self._waiting:
            self._forget(self._waiting.popleft())
        self._tell()

    async def settled(self) -> None:
        """Return once nothing waits, nor is looked at."""
        await self._idle.wait()

    async def _next(self, *, paced: bool = True) -> None:
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
            self._due = time.monotonic()  # nothing is saved up while there is nothing to do
        self._due = max(self._due, time.monotonic() - _BEHIND) + self._pause
        one = self._waiting.popleft()
        try:
            await self._look(one)
        except asyncio.CancelledError:
            # Nothing is lost by a shutdown, which goes on with `drain`.
            self._waiting.appendleft(one)
            raise
        self._forget(one)
        if not self._waiting:
            self._idle.set()
        await asyncio.sleep(max(0.0, self._due - time.monotonic()) if paced else 0)

    def _forget(self, one: _Waiting) -> None:
        """It takes up no room any more."""
        self._bytes -= one.size

    async def _look(self, one: _Waiting) -> None:
        """Try until all was scored; while a scorer stays away, nobody waits for it in vain."""
        recording = one.recording
        for turn in range(TRIES):
            try:
                if recording is not None:
                    await self._hear(one.seen, recording)
                    recording = None
                await self._score(one.seen)
            except _Away:
                if self._away or turn + 1 == TRIES:
                    self._away = True
                    with suppress(Exception):  # counted as failed, whatever comes of it
                        await self._score(one.seen, partly=True)
                    break
                await asyncio.sleep(_AGAIN * 2**turn)
            except AntiphonError:
                if turn + 1 < TRIES:
                    await asyncio.sleep(_AGAIN * 2**turn)
            except Exception as problem:
                # A text that breaks a scorer must not end the watch over all others. It is not logged.
                log.error("a request could not be scored: %s", type(problem).__name__)
                break
            else:
                self.outcomes["scored"] += 1
                return
        self.outcomes["failed"] += 1

    async def _score(self, seen: Observation, *, partly: bool = False) -> None:
        """Score what is new, and act on it; `partly`: by the scorers that can be asked, to be forgotten."""
        found = await asyncio.to_thread(pieces, seen)
        wanted = [one for one in found if one.new or not self._is_known(seen.caller, one)]
        if not wanted:
            return
        await self._act_on(seen, wanted[:MOST_TEXTS], partly)
        if partly:
            return
        for one in wanted[:MOST_TEXTS]:
            self._remember(seen.caller, one)
        self.outcomes["unseen"] += len(wanted) > MOST_TEXTS

    async def _act_on(self, seen: Observation, wanted: Sequence[Piece], partly: bool) -> None:
        try:
            scores = await self._panel.score([one.text for one in wanted], partly=partly)
        except AntiphonError as problem:
            raise _Away from problem
        if not partly:
            self._away = False
        findings = [
            Found(piece.side, category, finding.score, finding.scorer)
            for piece, by_category in zip(wanted, scores, strict=True)
            for category, finding in by_category.items()
            if finding.score >= _FLOOR
        ]
        if findings:
            await self._act(_told(seen, strongest(findings)))

    async def _hear(self, seen: Observation, recording: asyncio.Future[bytes]) -> None:
        try:
            heard = await asyncio.shield(recording)  # at a shutdown it is looked at once more
        except OSError:
            self.outcomes["unheard"] += 1
            return
        whose = seen.caller.organization_id
        if times := self._repeats.add(whose, heard, seen.request_id, seen.began_at):
            found = Found("usage", REPEATED, 1.0, "repeats")
            detail = f"the same recording {times} times within an hour"
            await self._act(msgspec.structs.replace(_told(seen, [found]), detail=detail))
            self._repeats.told(whose, heard, seen.began_at)

    def _is_known(self, caller: Caller, piece: Piece) -> bool:
        return self._digest(caller, piece) in self._known

    def _remember(self, caller: Caller, piece: Piece) -> None:
        self._known[self._digest(caller, piece)] = None
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _digest(self, caller: Caller, piece: Piece) -> bytes:
        """Of what was scored before, for one organization: with a salt that dies with this process.

        An answer is known when it comes back as a message of the conversation.
        """
        text = f"{caller.organization_id}\0{piece.text}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._salt, digest_size=16).digest()

    def _tell(self) -> None:
        """Say what was not looked at since the last time."""
        lost = {name: self.outcomes[name] - self._told[name] for name in ("unseen", "failed", "unheard")}
        self._told = Counter(self.outcomes)
        if any(lost.values()):
            log.warning(
                "the monitor has not seen everything: %d requests had no room, %d could not be scored by all "
                "scorers, %d recordings could not be read",
                *lost.values(),
            )


def _told(seen: Observation, findings: Sequence[Found]) -> Seen:
    return Seen(
        request_id=seen.request_id,
        caller=seen.caller,
        snapshot=seen.snapshot,
        findings=findings,
        at=seen.began_at,
    )
