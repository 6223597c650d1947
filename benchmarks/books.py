"""An installation whose servers come and go, and what its books say of the requests it answered."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Select, func, select

from antiphon.ledger.verify import verify
from antiphon.storage.database import Database
from antiphon.storage.tables import request
from benchmarks.faults import equal, until
from benchmarks.processes import Server, antiphon
from benchmarks.streams import Stream

END_SECONDS = 60.0
"""Longest that a request may stay open after anything at all."""
PROOF_SECONDS = 60.0
"""Longest that a proof of the books may take, or a command."""
SNAPSHOT = "smollm2-135m-instruct-2024-11-01"
MODELS = f"""
[snapshots."{SNAPSHOT}"]
slots = 64
context = 256

[aliases]
"whisper-1" = false
"""
"""Room for every stream, wherever its connection goes; and no speech engine, which would only take time."""
SETTINGS = {"ANTIPHON_REQUESTS_PER_MINUTE": "0", "ANTIPHON_QUEUE_PER_ORGANIZATION": "64"}


class Installation:
    """A data folder, its settings, and its first key, which its servers have in common."""

    def __init__(self, home: Path, settings: Mapping[str, str], models: Path) -> None:
        """`models`: where the models lie, or will; other installations may share it."""
        self.home = home
        self.settings = SETTINGS | settings
        self.key: str | None = None
        home.mkdir(parents=True, exist_ok=True)
        models.mkdir(parents=True, exist_ok=True)
        (home / "models.toml").write_text(MODELS)
        (home / "models").symlink_to(models)

    @property
    def database(self) -> str:
        return self.settings.get("ANTIPHON_DATABASE") or f"sqlite+aiosqlite:///{self.home / 'antiphon.db'}"

    @contextmanager
    def serve(self) -> Iterator[Server]:
        """Its server, ended with SIGTERM; it may as well be killed meanwhile, to be served anew."""
        try:
            with antiphon(self.home, self.settings, self.key) as server:
                self.key = server.key
                yield server
        except RuntimeError as end:
            if "ended with -9" not in str(end):
                raise

    async def command(self, *words: str) -> str:
        """What `antiphon` with these words prints. Raises `RuntimeError` if it fails."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANTIPHON_")}
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("antiphon"),
            *words,
            env={**inherited, "ANTIPHON_HOME": str(self.home), **self.settings},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PROOF_SECONDS):
            output, errors = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"antiphon {' '.join(words)}: {output.decode()}{errors.decode()}")
        return output.decode()

    async def ended(self, streams: Iterable[Stream], seconds: float = END_SECONDS) -> float:
        """Seconds until the books know the end of every stream that had begun.

        Raises `TimeoutError` when that takes longer than `seconds`.
        """
        begun = [stream.id for stream in streams if stream.pieces]
        query = select(func.count()).where(request.c.id.in_(begun), request.c.status != "open")
        async with Database(self.database) as database:
            return await until(lambda: equal(_number(database, query), len(begun)), seconds)

    async def check(self, streams: Sequence[Stream]) -> None:
        """Raises unless every request ends, the books are right, and they say what the clients saw."""
        still_open = select(func.count()).where(request.c.status == "open")
        async with Database(self.database, PROOF_SECONDS) as database:
            await until(lambda: equal(_number(database, still_open), 0), END_SECONDS)
            async with database.connect() as connection:
                ids = [stream.id for stream in streams]
                found = await connection.execute(select(request).where(request.c.id.in_(ids)))
                findings = await connection.run_sync(verify)
        rows = {row.id: row for row in found}
        wrong = [(s, rows.get(s.id)) for s in streams if not agrees(s, rows.get(s.id))]
        if wrong:
            raise AssertionError(f"the books and the clients do not agree: {wrong}")
        if findings:
            raise AssertionError(f"the books are wrong: {findings}")


def agrees(stream: Stream, row: Any) -> bool:
    """Whether the row of a request, or that there is none, is right for how its stream ended."""
    if row is None:  # never reserved: nothing was dispatched
        return stream.end in ("refused", "cut") and not stream.pieces
    if stream.end == "cut":  # with its gateway: what was not settled yet is void
        return row.status in ("settled", "voided")
    if stream.end == "refused":
        return row.status == "voided"
    used = (row.input_tokens, row.output_tokens)
    if stream.end == "whole":
        return row.status == "settled" and used == stream.usage and _finished(stream, row.output_tokens)
    delivered = stream.pieces <= row.output_tokens <= stream.tokens
    return stream.end == "failed" and row.status == "settled" and delivered


def _finished(stream: Stream, tokens: int) -> bool:
    """Whether a whole answer of so many tokens had a reason to end there.

    Beside others, rounding may lead the model to its own end where alone it goes on. That end is a token
    that is counted and has no text: an answer that was cut, and only called whole, does not have it.
    """
    if stream.finish == "stop":
        return stream.pieces < tokens <= stream.tokens
    return stream.finish == "length" and tokens == stream.tokens


async def _number(database: Database, query: Select[Any]) -> int:
    async with database.connect() as connection:
        return int((await connection.execute(query)).scalar_one())
