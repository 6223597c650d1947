"""The few forms of statements that both databases write in their own words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")

Rows = Sequence[Mapping[str, Any]]
CHUNK = 1000
"""Values that one statement is given in a list, at most."""


def insert(connection: Connection, table: Table) -> Any:
    """`INSERT` with `on_conflict_do_…`, in the words of this connection's database."""
    module = postgresql if connection.dialect.name == "postgresql" else sqlite
    return module.insert(table)


def insert_missing(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert rows; those whose primary key is there already stay as they are."""
    if rows:
        connection.execute(insert(connection, table).on_conflict_do_nothing(), rows)


def add(connection: Connection, table: Table, rows: Rows, sums: Collection[str]) -> None:
    """Insert rows, or add their columns `sums` to what is there.

    Rows are written in the order of their keys, so that two transactions never wait for each other.
    """
    keys = [column.name for column in table.primary_key]
    statement = insert(connection, table)
    changed = {name: table.c[name] + statement.excluded[name] for name in sums}
    statement = statement.on_conflict_do_update(index_elements=keys, set_=changed)
    if rows:
        connection.execute(statement, sorted(rows, key=lambda row: [row[key] for key in keys]))


def chunks(values: Collection[T]) -> Iterator[list[T]]:
    """`values` in lists that a statement can take."""
    everything = list(values)
    for start in range(0, len(everything), CHUNK):
        yield everything[start : start + CHUNK]
