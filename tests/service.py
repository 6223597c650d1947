"""The API on a real socket with scripted engines behind it: for timing, order and errors, not content."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import aiohttp
import uvicorn
from sqlalchemy import Table, select

from antiphon.api.edge import Edge
from antiphon.api.observing import Observer
from antiphon.api.protocol import bounded_protocol
from antiphon.api.routes import Route
from antiphon.api.status_page import StatusPage
from antiphon.app.edge import Around, build_edge
from antiphon.catalogue.catalogue import Catalogue
from antiphon.catalogue.document import laid_over
from antiphon.catalogue.entries import Entry
from antiphon.catalogue.instances import Instance
from antiphon.catalogue.listing import Listing, listing
from antiphon.errors import Unauthenticated, Unavailable
from antiphon.ledger.ledger import running
from antiphon.pools.pools import Incapable
from antiphon.privacy.stored import StoredCompletions
from antiphon.settings import Settings
from antiphon.status.counting import Counter
from antiphon.storage import tables
from antiphon.storage.database import Database
from antiphon.values import (
    Caller,
    ChatJob,
    Delta,
    Feature,
    Function,
    Message,
    Progress,
    Prompt,
    RawPrompt,
    Segment,
    SpeechJob,
    Transcript,
    Usage,
)
from antiphon.wire.models import Model

KEY = "sk-test"
CALLER = Caller(key_id="key_1", project_id="proj_1", organization_id="org-1", organization="default")
CHAT = "smollm2-135m-instruct-2024-11-01"
SPEECH = "whisper-base-2022-09-21"

ChatScript = Callable[[ChatJob], AsyncGenerator[Delta | Usage, None]]
SpeechScript = Callable[[SpeechJob], AsyncGenerator[Segment | Progress | Transcript, None]]


async def hello(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
    """The script used where the answer does not matter: two tokens for each choice."""
    for index in range(job.n):
        yield Delta(index, "Hello", completion_tokens=1)
        yield Delta(index, " you", (), "stop", 2)
    yield Usage(prompt_tokens=3, completion_tokens=2 * job.n)


async def spoken(job: SpeechJob) -> AsyncGenerator[Segment | Progress | Transcript, None]:
    """One segment of one second."""
    yield Segment(
        id=0,
        seek=0,
        start=0.0,
        end=1.0,
        text=" Hello.",
        tokens=[1],
        temperature=0.0,
        avg_logprob=-0.1,
        compression_ratio=1.0,
        no_speech_prob=0.0,
    )
    yield Transcript(language="en", duration=1.0, usage=Usage(seconds=1.0))


class ScriptedRecording:
    """An open recording of a scripted engine."""

    def __init__(
        self,
        seconds: float,
        expected: float,
        transcribe: Callable[[], AsyncGenerator[Segment | Progress | Transcript, None]],
    ) -> None:
        self.seconds, self.expected, self.transcribe = seconds, expected, transcribe


class ScriptedEngine:
    """Answers as its scripts say; `running` counts what has been begun and not yet ended or cancelled.

    A recording is as long as its file says in `seconds=…`, else one second.
    """

    def __init__(
        self, chat: ChatScript = hello, speech: SpeechScript = spoken, *, counts: bool = True
    ) -> None:
        self._scripts = (chat, speech)
        self.counts = counts
        self.tells_calls = False
        self.cannot: frozenset[Feature] = frozenset()
        self.expected = 0.0
        """Seconds until the last segment, as it says of every recording."""
        self.jobs: list[Any] = []
        self.prompts: list[Prompt] = []
        self.running = 0
        self.held = 0
        """Recordings that are open."""
        self.idle = asyncio.Event()

    async def prepare(self, messages: Sequence[Message], functions: Sequence[Function] = ()) -> Prompt:
        words = " ".join(m.content for m in messages).split()
        return Prompt(" ".join(words), tuple(range(len(words))))

    async def tokenize(self, prompts: Sequence[RawPrompt]) -> list[Prompt]:
        """A token for each word; of ids the text is `<1><2>`."""
        return [
            Prompt(one, tuple(range(len(one.split()))))
            if isinstance(one, str)
            else Prompt("".join(f"<{token}>" for token in one), one)
            for one in prompts
        ]

    async def continued(self, prompt: Prompt, text: str) -> Prompt:
        return Prompt(prompt.text + text, prompt.tokens + tuple(text.encode()))

    async def chat(self, job: ChatJob, prompt: Prompt) -> AsyncGenerator[Delta | Usage, None]:
        self.prompts.append(prompt)
        with self._counted(job):
            async for piece in self._scripts[0](job):
                yield piece

    @asynccontextmanager
    async def open(self, job: SpeechJob) -> AsyncIterator[ScriptedRecording]:
        said = job.file.read_bytes().partition(b"seconds=")[2]
        self.held += 1
        try:
            yield ScriptedRecording(float(said or 1), self.expected, lambda: self._transcribe(job))
        finally:
            self.held -= 1

    async def _transcribe(self, job: SpeechJob) -> AsyncGenerator[Segment | Progress | Transcript, None]:
        with self._counted(job):
            async for piece in self._scripts[1](job):
                yield piece

    @contextmanager
    def _counted(self, job: Any) -> Iterator[None]:
        self.jobs.append(job)
        self.running += 1
        self.idle.clear()
        try:
            yield
        finally:
            self.running -= 1
            if not self.running:
                self.idle.set()


class ScriptedPool:
    """A pool of one ready engine with `capacity` places."""

    def __init__(self, engine: ScriptedEngine, capacity: int) -> None:
        self.engine = engine
        self.capacity = capacity
        self.kind = SimpleNamespace(
            counts=engine.counts,
            features=frozenset(get_args(Feature)) - engine.cannot,
            tells_calls=engine.tells_calls,
        )
        self.on_change: list[Callable[[], None]] = []
        self.other: Any = None
        """A further engine, for what failed in the first."""
        self.instances: dict[tuple[str, str], list[Any]] = {}
        """The dedicated ones, by organization and snapshot."""

    def wake(self) -> None:
        pass

    def weight(self, tokens: int) -> int:
        return 1

    @contextmanager
    def acquire(
        self, beginning: Any = None, besides: Any = None, deadline: Any = None, *, deployment: Any = None
    ) -> Iterator[Any]:
        engine = self.engine if besides is None else self.other
        if engine is None:
            raise Unavailable("There is no other engine.")
        yield SimpleNamespace(
            engine=engine,
            deployment=deployment,
            deadline=deadline,
            fingerprint="fp_0123456789",
            failed=False,
            answered=False,
        )

    def resize(self, capacity: int) -> None:
        self.capacity = capacity
        for callback in self.on_change:
            callback()


class _Named:
    """The one pool, as it serves one snapshot."""

    def __init__(self, pool: ScriptedPool, snapshot: str, context: int, **instance: Any) -> None:
        self._pool = pool
        task = "speech" if snapshot == SPEECH else "chat"
        known: dict[str, Any] = {
            "name": snapshot, "snapshot": snapshot, "instance": "", "context": context, "task": task,
        }  # fmt: skip
        self.deployment = SimpleNamespace(**(known | instance))

    def acquire(
        self, beginning: Any = None, besides: Any = None, deadline: Any = None
    ) -> AbstractContextManager[Any]:
        return self._pool.acquire(beginning, besides, deadline, deployment=self.deployment)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


def instance(
    engine: ScriptedEngine, capacity: int = 4, *, context: int = 8192, spill_over: bool = False
) -> _Named:
    """A dedicated instance of the chat model, to be put among a pool's `instances`."""
    named = {"name": f"{CHAT}@dedicated_1", "instance": "dedicated_1", "spill_over": spill_over}
    return _Named(ScriptedPool(engine, capacity), CHAT, context, **named)


class ScriptedPools:
    """The one pool for everybody; `contexts` gives that of a snapshot, in tokens."""

    def __init__(self, pool: ScriptedPool, contexts: Callable[[str], int] = lambda _: 8192) -> None:
        self.pool = pool
        self.on_pool = self
        self._contexts = contexts

    def append(self, callback: Callable[[Any], None]) -> None:
        """Who wants to hear of new pools hears of these at once: there never are others."""
        for pool in self:
            callback(pool)

    def get(
        self, snapshot: str, needs: Set[Feature] = frozenset(), wishes: Set[Feature] = frozenset()
    ) -> Any:
        if lacking := needs & self.pool.engine.cannot:
            raise Incapable(min(lacking))
        return _Named(self.pool, snapshot, self._contexts(snapshot))

    def dedicated(self, organization: str, snapshot: str) -> Sequence[Any]:
        return self.pool.instances.get((organization, snapshot), ())

    def serves(self, snapshot: str) -> bool:
        return self.ready

    def rouse(self, snapshot: str) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        return (_Named(self.pool, name, self._contexts(name)) for name in (CHAT, SPEECH))

    @property
    def ready(self) -> bool:
        return self.pool.capacity > 0

    def status(self) -> dict[str, list[Any]]:
        state = SimpleNamespace(state="ready" if self.ready else "starting", restarts=0, renewed=0)
        return {CHAT: [state], SPEECH: [state]}


class OneKey:
    """Knows the key `KEY`, of `CALLER`; any other `sk-org-…` is a caller of an organization of that name."""

    async def authenticate(self, token: str) -> Caller:
        if token == KEY:
            return CALLER
        if token.startswith("sk-org-"):
            name = token.removeprefix("sk-")
            return Caller(key_id=name, project_id=name, organization_id=name, organization=name)
        raise Unauthenticated("Incorrect API key provided.")


class Books:
    """What is in a service's database, once its journal has been moved there."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def rows(self, table: Table) -> list[Any]:
        async with self.database.connect() as connection:
            return list(await connection.execute(select(table)))

    async def requests(self, at_least: int = 1) -> list[Any]:
        """Every request, as soon as there are so many and all of them have ended."""
        async with asyncio.timeout(10):
            while True:
                found = await self.rows(tables.request)
                if len(found) >= at_least and all(row.status != "open" for row in found):
                    return found
                await asyncio.sleep(0.02)

    async def only(self) -> Any:
        """The one request."""
        [found] = await self.requests()
        return found


async def billed(home: Path) -> list[Any]:
    """Every request that a service in this folder recorded, once it has stopped."""
    async with Database(Settings(home=str(home)).database_url) as database:
        return await Books(database).requests()


class Service:
    """The running API: `call` and `chat` give status, headers and body; `pool` and `engine` steer it.

    `books` is what the ledger has of it.
    """

    def __init__(
        self, edge: Edge, pool: ScriptedPool, books: Books, port: int, session: aiohttp.ClientSession
    ) -> None:
        self.edge = edge
        self.books = books
        self.pool = pool
        self.engine = pool.engine
        self.port = port
        self.session = session

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any, Any]:
        headers = {"authorization": f"Bearer {KEY}", **options.pop("headers", {})}
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.request(method, url, headers=headers, **options) as response:
            content = await response.read()
            kind = response.headers.get("content-type", "")
            body = await response.json() if kind == "application/json" else content.decode()
            return response.status, response.headers, body

    async def chat(self, **fields: Any) -> tuple[int, Any, Any]:
        body = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Say hello"}], **fields}
        return await self.call("POST", "/v1/chat/completions", json=body)

    async def complete(self, **fields: Any) -> tuple[int, Any, Any]:
        body = {"model": "gpt-3.5-turbo", "prompt": "Say hello", **fields}
        return await self.call("POST", "/v1/completions", json=body)


class Fixed(Catalogue):
    """A catalogue that nobody changes, as `antiphon.catalogue.listing.Names`."""

    def resolve(self, model: str, organization: str = "") -> Entry:  # type: ignore[override]
        return super().resolve(model, None, organization)

    def models(self, organization: str = "") -> list[Model]:  # type: ignore[override]
        return super().models(None, organization)

    def elsewhere(self, organization: str, snapshot: str) -> str:  # type: ignore[override]
        return super().elsewhere(organization, snapshot, "here")

    def listing(self) -> list[Listing]:
        return listing(self, {name: self.meaning(name) for name in self.aliases})


def catalogue(home: Path, operators: Mapping[str, Any] = {}, instances: tuple[Instance, ...] = ()) -> Fixed:
    """The shipped catalogue and the operator's, as if everything in them were installed."""
    found = laid_over(operators)
    return Fixed(found.snapshots, found.aliases, frozenset(found.snapshots), instances=instances)


@asynccontextmanager
async def serving(
    home: Path,
    engine: Any = None,
    capacity: int = 4,
    authenticator: Any = None,
    admin: Sequence[Route] = (),
    models: Mapping[str, Any] = {},
    instances: tuple[Instance, ...] = (),
    observers: Sequence[Observer] = (),
    stored: StoredCompletions | None = None,
    status: StatusPage | None = None,
    counter: Counter | None = None,
    pages: Sequence[Route] = (),
    proof: Callable[[str], str] = lambda secret: "",
    **settings: Any,
) -> AsyncIterator[Service]:
    """The API over `engine` on a free port of this machine; `KEY` opens it unless another decides.

    `models` are laid over the shipped catalogue, as models.toml is.
    """
    chosen = Settings(home=str(home), **settings)
    pool = ScriptedPool(engine or ScriptedEngine(), capacity)
    uploads = home / "uploads"
    uploads.mkdir(exist_ok=True)
    known = catalogue(home, models, instances)
    pools: Any = ScriptedPools(pool, lambda snapshot: known.entries[snapshot].context)
    keys: Any = authenticator or OneKey()
    async with migrated(chosen.database_url) as database, running(database, home) as ledger:
        around = Around(
            observers=observers, stored=stored, status=status, counter=counter, pages=pages, proof=proof
        )
        edge = build_edge(chosen, known, pools, keys, ledger, uploads, admin=admin, around=around)
        async with listening(edge, chosen) as port, aiohttp.ClientSession() as session:
            yield Service(edge, pool, Books(database), port, session)


@asynccontextmanager
async def migrated(url: str) -> AsyncIterator[Database]:
    """A database with every table, at once."""
    async with Database(url) as database:
        async with database.begin() as connection:
            await connection.run_sync(tables.metadata.create_all)
        yield database


@asynccontextmanager
async def listening(edge: Edge, chosen: Settings) -> AsyncIterator[int]:
    """Serve on a free port, as the gateway does; clients are expected to be gone at the end."""
    config = uvicorn.Config(
        edge,
        port=0,
        http=bounded_protocol(chosen),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
    )
    server = uvicorn.Server(config)
    server.capture_signals = lambda: _nothing()  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        await edge.drain()
        server.should_exit = server.force_exit = True
        await task


@contextmanager
def _nothing() -> Iterator[None]:
    yield
