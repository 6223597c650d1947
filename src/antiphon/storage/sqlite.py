"""SQLite as SQLAlchemy's asynchronous driver uses it here: a safe version, durable, one writer at a time.

aiosqlite is bound to Python's own `sqlite3`. That is often older than 3.51.3, and up to there two
connections can corrupt a database in WAL mode when a checkpoint and a reset of the log meet. So the
connections and errors are taken from the first module that carries a newer SQLite.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import aiosqlite
from sqlalchemy import Connection, StaticPool, event, exc
from sqlalchemy import create_engine as create_plain_engine
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_dbapi
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from antiphon.errors import ConfigurationError, StorageFull, Unavailable
from antiphon.storage.files import create_once
from antiphon.storage.transactions import InThread

DRIVER = "sqlite+aiosqlite"
READING: dict[str, Any] = {}
WRITING = {"immediate": True}
WRITERS = 1
WRITERS_TOGETHER = 1
"""More would be kept apart by SQLite, which lets them try again and again, and not in their order."""

OLDEST_SAFE = (3, 51, 3)
POOL_SECONDS = 5.0
"""Longest wait for one of this process's connections."""
_JOIN_SECONDS = 5.0
_STEPS = 10_000
"""Of a statement, between two looks at the time: well under a millisecond."""
_RETRY_SECONDS = 0.01
_CACHE_KIB = 512
"""Pages that a connection keeps."""
_FORGET_SECONDS = 5.0
_MODULES = ("pysqlite3", "sqlite3")
_TAKEN_OVER = (
    "Error",
    "DatabaseError",
    "IntegrityError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "sqlite_version",
    "sqlite_version_info",
)


def installed() -> list[ModuleType]:
    """The modules on this machine that carry an SQLite, the preferred one first."""
    found = []
    for name in _MODULES:
        try:
            found.append(import_module(name))
        except ImportError:
            continue  # pysqlite3 has no wheel for every platform
    return found


def safe(modules: Iterable[ModuleType]) -> ModuleType:
    """The first of `modules` whose SQLite may be trusted with WAL; `ConfigurationError` if there is none."""
    versions = []
    for module in modules:
        if module.sqlite_version_info >= OLDEST_SAFE:
            return module
        versions.append(module.sqlite_version)
    raise ConfigurationError(
        f"SQLite {' and '.join(versions) or 'is missing'}: older than {'.'.join(map(str, OLDEST_SAFE))}, "
        "which can corrupt a database that is written and read at once",
        fix="pip install pysqlite3, or use a Python built with a newer SQLite",
    )


def create_engine(url: URL, seconds: float, *, for_tables: bool = False) -> AsyncEngine:
    """An engine over the file that `url` names, whose statements wait for another's write, or work, for at
    most `seconds`.

    `for_tables`: to change a table it is made anew under its name, so foreign keys are not enforced.
    Nothing is opened yet. Raises `ConfigurationError` for a database in memory (every connection would see
    another one) and for a machine without a safe SQLite.
    """
    if not url.database or url.database == ":memory:" or url.query:
        raise ConfigurationError(
            "the SQLite address must name a file and nothing else",
            fix="write sqlite+aiosqlite:////folder/antiphon.db, or leave the setting empty",
        )
    sqlite = safe(installed())
    engine = create_async_engine(
        url,
        module=AsyncAdapt_aiosqlite_dbapi(_over(sqlite), sqlite),
        connect_args={"timeout": seconds, "foreign_keys": not for_tables},
        pool_size=4,
        max_overflow=4,
        pool_timeout=POOL_SECONDS,
        hide_parameters=True,  # error texts never carry values
    )
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def transactions(url: URL, seconds: float, engine: AsyncEngine) -> InThread:
    """Transactions over a connection of their own to the same file as `engine`'s."""
    sqlite, limit = safe(installed()), _Limit(seconds)
    options = {"timeout": seconds, "foreign_keys": True}
    plain = create_plain_engine(
        "sqlite://",
        module=sqlite,
        creator=partial(_open, sqlite, Path(str(url.database)), options, limit),
        poolclass=StaticPool,
        hide_parameters=True,  # error texts never carry values
        execution_options={**engine.sync_engine.get_execution_options(), **WRITING},
    )
    event.listen(plain, "begin", _begin)
    event.listen(plain, "before_cursor_execute", lambda *_: limit.start())
    event.listen(plain, "after_cursor_execute", lambda *_: limit.stop())
    return InThread(plain, limit.end, seconds)


@asynccontextmanager
async def alone(connection: AsyncConnection) -> AsyncIterator[None]:
    """Whoever may write is the only one; what it leaves behind must fit together again."""
    yield
    if broken := (await connection.exec_driver_sql("PRAGMA foreign_key_check")).mappings().first():
        raise ConfigurationError(
            f"the database's table {broken['table']} has rows that belong to none of {broken['parent']}",
            fix="restore a whole backup",
        )


async def forget(connection: AsyncConnection, tables: Sequence[str]) -> None:
    """The whole file is written anew, whatever the tables, and its log is emptied."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None, "the connection is open"
    await driver.execute("PRAGMA temp_store = MEMORY")  # else what is left would go through a temporary file
    await driver.execute("VACUUM")
    deadline = time.monotonic() + _FORGET_SECONDS
    while (await (await driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")).fetchone())[0]:
        # Somebody reads from the log. `Unavailable`, as for any other wait that took too long.
        if time.monotonic() > deadline:
            raise exc.TimeoutError("the log is read without a pause, and could not be emptied")
        await asyncio.sleep(_RETRY_SECONDS)


def meaning(problem: exc.DBAPIError | OSError) -> type[StorageFull | Unavailable] | None:
    # Only the outermost kinds speak of the machine; their children (a broken constraint, wrong SQL) speak of
    # the statement.
    if isinstance(problem, OSError) or type(problem) not in (exc.OperationalError, exc.DatabaseError):
        return None
    full = getattr(problem.orig, "sqlite_errorname", "") == "SQLITE_FULL"
    return StorageFull if full else Unavailable


class _Limit:
    """Ends a statement that works for too long. Work is done in the connection's own thread."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = math.inf

    def run(self, work: Callable[[], Any]) -> Any:
        """Do it, with a time limit of its own."""
        self.start()
        try:
            return work()
        finally:
            self.stop()

    def start(self) -> None:
        """A statement begins."""
        self._until = time.monotonic() + self._seconds

    def stop(self) -> None:
        """It is over."""
        self._until = math.inf

    def end(self) -> None:
        """End what runs, if anything does. For any thread."""
        self._until = -math.inf

    def passed(self) -> bool:
        """What SQLite asks while it works."""
        return time.monotonic() > self._until


class _Connection(aiosqlite.Connection):
    """One whose statements end in time, or with those who wait for them.

    It has ended its thread by the time it says that it could not be opened.
    """

    def __init__(self, connector: Callable[[], Any], limit: _Limit) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._limit = limit

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            work = partial(fn, *args, **kwargs)
            return await super()._execute(self._limit.run, work)  # type: ignore[no-untyped-call]
        except asyncio.CancelledError:
            self._limit.end()  # else the connection would stay occupied by what nobody waits for
            raise

    def __await__(self) -> Generator[Any, None, aiosqlite.Connection]:
        try:
            return (yield from super().__await__())
        except Exception:
            # Left alone, the thread would report to an event loop that may be closed by then.
            yield from asyncio.to_thread(self._thread.join, _JOIN_SECONDS).__await__()
            raise


def _over(sqlite: ModuleType) -> ModuleType:
    """`aiosqlite` as SQLAlchemy's adapter expects it, over another module than Python's `sqlite3`."""

    def connect(path: str, **options: Any) -> aiosqlite.Connection:
        limit = _Limit(options["timeout"])
        return _Connection(partial(_open, sqlite, Path(path), options, limit), limit)

    module = ModuleType("aiosqlite")
    vars(module).update({name: getattr(sqlite, name) for name in _TAKEN_OVER})
    vars(module).update(Connection=_Connection, __version__=aiosqlite.__version__, connect=connect)
    return module


def _open(sqlite: ModuleType, path: Path, options: dict[str, Any], limit: _Limit) -> Any:
    """One connection of the driver; runs in that connection's own thread."""
    create_once(path)
    # Without an isolation level the driver begins no transaction by itself: `_begin` does.
    connection = sqlite.connect(path, isolation_level=None, timeout=options["timeout"])
    try:
        mode = _mode(connection, options["timeout"])
        if mode != "wal":
            raise ConfigurationError(
                f"{path.parent} lies on a file system that SQLite cannot share between processes",
                fix="put the data folder on a local disk",
            )
        # Nine connections fill their caches for hours else; the system has the pages of the file anyway.
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted is not left in free pages
        connection.execute(f"PRAGMA foreign_keys = {options['foreign_keys']:d}")
        connection.set_progress_handler(limit.passed, _STEPS)
    except BaseException:
        connection.close()
        raise
    return connection


def _mode(connection: Any, seconds: float) -> str:
    """Switch to WAL; the mode that is then in force."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except Exception as problem:
            # Of those who open a new file at once all but one are refused without any wait.
            busy = getattr(problem, "sqlite_errorname", "") == "SQLITE_BUSY"
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)


def _begin(connection: Connection) -> None:
    # A transaction that first reads and then writes would ignore the busy timeout when it becomes a
    # writer, and fail with "database is locked": a writer takes its turn at the start.
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
