"""Long work that a page asks for: it goes on in the background, and any process of the server tells how.

A job is a folder with its state, and with what it makes. It is its owner's alone, and is removed an hour
after its end, when its process ends, or else at the next start; and at once where content of its organization
is erased, from which it may have been made.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from antiphon.errors import AntiphonError, InvalidRequest, NotFound
from antiphon.privacy import erased
from antiphon.storage.database import Database
from antiphon.storage.folders import own_folder
from antiphon.values import Caller

FOLDER = "jobs"
"""Of the data folder."""
KEPT_SECONDS = 3600.0
AT_ONCE = 2
"""Jobs that one process runs at once."""
_TOLD_SECONDS = 0.5
_SILENT_SECONDS = 60.0
"""After so long without a word a job is taken to have ended with its process."""
_STATE = "state.json"
_DISCARDED = "discarded-"
_STOP_SECONDS = 5.0

log = logging.getLogger(__name__)


class State(msgspec.Struct, kw_only=True):
    """How a job goes; `done` of `total` pieces, 0 where nobody knows how many. Times are unix seconds."""

    id: str
    kind: str
    organization_id: str
    member_id: str | None
    began_at: int
    state: Literal["running", "done", "failed"] = "running"
    done: int = 0
    total: int = 0
    said: str = ""
    """What came of it, for people."""
    bad: bool = False
    """Whether that is bad news."""
    file: str = ""
    """What it made, by its name in the folder of the job."""
    size: int = 0
    ended_at: int | None = None


class Job(msgspec.Struct):
    """What work is given: a folder of its own, and a state that it may write to. `stopped`: nobody waits."""

    folder: Path
    state: State
    stopped: bool = False


Work = Callable[[Job], Awaitable[None]]


class Jobs:
    """`folder` is this process's own, in one with those of the others, `root`. `clock` in unix seconds."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.root = folder.parent
        self._folder = folder
        self._clock = clock
        self._running: dict[asyncio.Task[None], Job] = {}

    async def start(self, kind: str, work: Work, *, by: Caller) -> State:
        """Begin. Raises `InvalidRequest` while the organization has one of this kind, or too many run."""
        mine = await self.latest(kind, by=by)
        here = [job for job in self._running.values() if job.state.state == "running"]
        same = [
            job for job in here if (job.state.kind, job.state.organization_id) == (kind, by.organization_id)
        ]
        if same or (mine and mine.state == "running"):
            raise InvalidRequest("This is being done already: wait for its end.")
        if len(here) >= AT_ONCE:
            raise InvalidRequest(
                "Others have asked for as much as can be done at once: try again in a minute."
            )
        state = State(
            id=f"{self._folder.name}.{secrets.token_hex(8)}",
            kind=kind,
            organization_id=by.organization_id,
            member_id=by.member_id,
            began_at=int(self._clock()),
        )
        job = Job(_place(self.root, state.id), state)
        await asyncio.to_thread(job.folder.mkdir, mode=0o700)
        await asyncio.to_thread(_write, job)
        task = asyncio.create_task(self._run(job, work), name=f"{kind} {state.id}")
        self._running[task] = job
        task.add_done_callback(self._running.pop)
        return state

    async def latest(self, kind: str, *, by: Caller) -> State | None:
        """The newest of the caller's jobs of a kind."""
        states = await asyncio.to_thread(_states, self.root, self._clock())
        mine = [one for one in states if one.kind == kind and _is_of(one, by)]
        return max(mine, key=lambda one: (one.began_at, one.id), default=None)

    async def file(self, id: str, *, by: Caller) -> Path:
        """What a job made. Raises `NotFound` where that is not there, or is somebody else's."""
        states = await asyncio.to_thread(_states, self.root, self._clock())
        for one in states:
            if one.id == id and _is_of(one, by) and one.state == "done" and one.file:
                return _place(self.root, id) / one.file
        raise NotFound("There is no such file: it was deleted, or has never been there.")

    async def remove(self, kind: str, *, by: Caller) -> None:
        """Delete what the caller's jobs of a kind have made; those that run go on."""
        for one in await asyncio.to_thread(_states, self.root, self._clock()):
            if one.kind == kind and _is_of(one, by) and one.state != "running":
                await asyncio.to_thread(shutil.rmtree, _place(self.root, one.id), True)

    async def _run(self, job: Job, work: Work) -> None:
        telling = asyncio.create_task(_tell(job))
        try:
            await work(job)
            job.state.state = "done"
        except AntiphonError as problem:
            job.state.state, job.state.said, job.state.bad = "failed", problem.message, True
        except Exception as problem:
            # Where, and not what: its text may quote what is kept.
            places = "".join(traceback.format_tb(problem.__traceback__)).rstrip()
            if await asyncio.to_thread(job.folder.exists):  # else it was taken away from it
                log.error("%s broke off: %s\n%s", job.state.kind, type(problem).__name__, places)
            job.state.state, job.state.said, job.state.bad = "failed", "It broke off: see the log.", True
        finally:
            job.stopped = True
            telling.cancel()
        job.state.ended_at = int(self._clock())
        await asyncio.to_thread(_write, job)
        await asyncio.sleep(KEPT_SECONDS)
        await asyncio.to_thread(shutil.rmtree, job.folder, True)

    async def close(self) -> None:
        """End what runs."""
        for task, job in self._running.items():
            job.stopped = True
            task.cancel()
        if self._running:
            await asyncio.wait(list(self._running), timeout=_STOP_SECONDS)


@asynccontextmanager
async def background(root: Path, clock: Callable[[], float] = time.time) -> AsyncIterator[Jobs]:
    """Jobs for as long as the block runs, in a folder under `root`."""
    owned = own_folder(root)
    jobs = Jobs(await asyncio.to_thread(owned.__enter__), clock)
    try:
        yield jobs
    finally:
        await jobs.close()
        await asyncio.to_thread(owned.__exit__, None, None, None)


async def forget_erased(database: Database, root: Path) -> None:
    """Delete what jobs have made, or are making, since when something of their organization was erased.

    Whoever does it, for all processes that have their folders under `root`. Raises `OSError`, and what a
    database does.
    """
    late = []
    for one in await asyncio.to_thread(_states, root, time.time()):
        async with database.connect() as connection:
            at = await connection.run_sync(erased.last, one.organization_id)
        if one.began_at <= at:
            late.append(_place(root, one.id))
    await asyncio.to_thread(_discard, root, late)


def _discard(root: Path, folders: Sequence[Path]) -> None:
    """First their names are taken away: who still works in one finds it nowhere, and can add nothing."""
    for folder in folders:
        with suppress(FileNotFoundError):  # it was removed meanwhile
            folder.replace(folder.with_name(f"{_DISCARDED}{secrets.token_hex(8)}"))
    for left in root.glob(f"*/{_DISCARDED}*"):
        while left.exists():
            with suppress(FileNotFoundError):  # another process does the same
                shutil.rmtree(left)


async def _tell(job: Job) -> None:
    while True:
        await asyncio.sleep(_TOLD_SECONDS)
        await asyncio.to_thread(_write, job)


def _write(job: Job) -> None:
    """Whoever reads it sees the one before or this one. A job that was removed stays so."""
    fresh = job.folder / f"{_STATE}.{secrets.token_hex(4)}"
    with suppress(FileNotFoundError):
        fresh.write_bytes(msgspec.json.encode(job.state))
        fresh.replace(job.folder / _STATE)


def _states(root: Path, now: float) -> list[State]:
    found = []
    for path in root.glob(f"*/*/{_STATE}"):
        with suppress(FileNotFoundError, msgspec.DecodeError):
            if path.parent.name.startswith(_DISCARDED):
                continue
            state = msgspec.json.decode(path.read_bytes(), type=State)
            if state.state == "running" and time.time() - path.stat().st_mtime > _SILENT_SECONDS:
                state.state, state.said, state.bad = "failed", "It broke off with its process.", True
                state.ended_at = int(now)
            found.append(state)
    return found


def _place(root: Path, id: str) -> Path:
    process, _, name = id.partition(".")
    return root / process / name


def _is_of(state: State, caller: Caller) -> bool:
    return (state.organization_id, state.member_id) == (caller.organization_id, caller.member_id)
