"""Processor time, of single questions too: what Linux's scheduler counts, in nanoseconds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.servers import PostgresDatabase

from benchmarks.figures import percentile


def of_process(pid: int) -> float:
    """Seconds that a process has run."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def of_server(server: PostgresDatabase | None) -> float:
    """Seconds of a PostgreSQL's processes; of none, 0."""
    if server is None:
        return 0.0
    first = server.server._process
    assert first is not None
    children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
    found = 0.0
    for pid in (first.pid, *map(int, children)):
        with suppress(FileNotFoundError, ProcessLookupError):  # a worker that has ended meanwhile
            found += of_process(pid)
    return found


def quick(values: Sequence[float]) -> float:
    """What the quickest tenth stay below: what they take where nothing else is in their way."""
    return percentile(values, 10)
