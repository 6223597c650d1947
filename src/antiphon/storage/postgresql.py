"""PostgreSQL as SQLAlchemy's asynchronous driver (asyncpg) uses it here: every wait has an end.

A server that is gone refuses or resets; one that is paused, or behind a broken network, says nothing at all.
So beside the limits that the server keeps itself, each connection has limits of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import exc, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from antiphon.errors import ConfigurationError, StorageFull, Unavailable
from antiphon.storage.transactions import OnLoop

DRIVER = "postgresql+asyncpg"
READING = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
WRITING: dict[str, Any] = {}
WRITERS = 8
"""As many as there are connections."""
WRITERS_TOGETHER = 1000
"""As many as come: it keeps them in order itself."""

CONNECT_SECONDS = 2.0
POOL_SECONDS = 5.0
"""Longest wait for one of this process's connections."""
_GRACE_SECONDS = 0.5
"""What the server has beyond a limit to say so itself, and what an orderly end of a connection may take."""
_LOCK = 0x616E7469
"""The advisory lock of those who change tables; any number, the same for every version."""
_FULL = "53100"
_STATEMENT = ("0A", "21", "22", "23", "2F", "42", "44", "P0")
"""Classes of SQLSTATE that speak of the statement; all others speak of the server or the connection."""


def create_engine(url: URL, seconds: float, *, for_tables: bool = False) -> AsyncEngine:
    """An engine over the database that `url` names. Nothing is opened yet.

    Raises `ConfigurationError` for an address with options that are not known here.
    """
    milliseconds = round(seconds * 1000)
    return create_async_engine(
        _with_tls(url),
        pool_size=4,
        max_overflow=4,
        pool_timeout=POOL_SECONDS,
        pool_pre_ping=True,  # a server that was started anew costs nobody a failure
        hide_parameters=True,  # error texts never carry values
        connect_args={
            "connection_class": _Connection,
            "timeout": CONNECT_SECONDS,
            "command_timeout": seconds + _GRACE_SECONDS,
            "server_settings": {
                "application_name": "antiphon",
                "statement_timeout": str(milliseconds),
                "lock_timeout": str(milliseconds),
                # What a frozen process had begun must not block the others for long.
                "idle_in_transaction_session_timeout": str(2 * milliseconds),
            },
        },
    )


def transactions(url: URL, seconds: float, engine: AsyncEngine) -> OnLoop:
    """Transactions over the connections of `engine`."""
    return OnLoop(engine.execution_options(**WRITING))


@asynccontextmanager
async def alone(connection: AsyncConnection) -> AsyncIterator[None]:
    await connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    yield


async def forget(connection: AsyncConnection, tables: Sequence[str]) -> None:
    autonomous = await connection.execution_options(isolation_level="AUTOCOMMIT")
    for table in tables:
        # A plain VACUUM leaves what was deleted in the free space of its pages.
        await autonomous.execute(text(f"vacuum full {table}"))


def meaning(problem: exc.DBAPIError | OSError) -> type[StorageFull | Unavailable] | None:
    if isinstance(problem, OSError):  # refused, reset, or timed out
        return Unavailable
    state = getattr(problem.orig, "sqlstate", None)
    if state == _FULL:
        return StorageFull
    if state is None:
        # The driver's own: no connection any more, or a value that does not fit its column.
        fits = not isinstance(getattr(problem.orig, "__cause__", None), ValueError)
        return Unavailable if fits else None
    return None if state.startswith(_STATEMENT) else Unavailable


def _with_tls(url: URL) -> URL:
    """The address as the driver takes it: what other programs call `sslmode` is its `ssl`."""
    options = dict(url.query)
    if "sslmode" in options:
        options["ssl"] = options.pop("sslmode")
    unknown = options.keys() - {"ssl", "host", "port"}
    if unknown:
        raise ConfigurationError(
            f"the database address has an unknown option '{min(unknown)}'",
            fix="after the ? only sslmode, host and port may stand",
        )
    return url.set(query=options)


class _Connection(asyncpg.Connection):  # type: ignore[misc]  # it comes without types
    """One that is given up soon when its server does not answer."""

    async def close(self, **_: float | None) -> None:
        await super().close(timeout=_GRACE_SECONDS)
