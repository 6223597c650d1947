"""What a run measured, as the JSON file of its results holds it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.runs import Run

KIND = "footprint"
PEERS = 1000
"""Processes among which a beat is measured."""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """A table: its rows, and bytes with and without its indexes."""

    rows: int
    heap: int
    indexes: int

    @property
    def row_bytes(self) -> float:
        return (self.heap + self.indexes) / self.rows


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """What posting left and took. Microseconds are of processor time for a request, as the quickest tenth of
    batches had it."""

    requests: int
    batches: int
    keys: int
    minutes: int
    sizes: dict[str, Size]
    """Of PostgreSQL; SQLite does not tell tables apart."""
    total: int
    """Bytes of the database, less those that it had empty."""
    log: int
    """Bytes of the write-ahead log; 0 of SQLite."""
    server_microseconds: float
    client_microseconds: float
    held_ms: float
    """Processor time, of both, in which a batch holds the rows that all batches change."""
    small_held_ms: float
    """The same of batches of 20 records, as they are where many processes share the work."""
    statements: float
    held_statements: float
    """Statements of a batch, and those while the rows are held; a commit is none."""
    proof_microseconds: float
    """A proof of the books, of whoever asks and of the server together."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Processor time of PostgreSQL for a question, as the quickest tenth of them had it."""

    key_microseconds: float
    limits_microseconds: float
    known_wait_microseconds: float
    """Reserving and settling for an organization that the process knows, of both: the least that the client
    waits."""
    new_microseconds: float
    new_wait_microseconds: float
    """For an organization that is new to the process: of PostgreSQL, and of both."""
    beat_microseconds: float
    """Among `PEERS` processes."""


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Processor time of a gateway to find the engine for a request, among so many."""

    engines: int
    microseconds: float


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Valkey: bytes kept for a project and snapshot, and processor time of its process for a question."""

    default_bytes: int
    every_bytes: int
    default_microseconds: float
    every_microseconds: float


class Results(Run, frozen=True, kw_only=True):
    journal: float
    """Bytes of a request's two records."""
    books: dict[str, Books]
    asked: Asked
    counts: Counts
    chosen: Chosen

    def save(self, folder: Path) -> Path:
        return self.write(folder, KIND)
