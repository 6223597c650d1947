"""The few forms of statements that both databases write in their own words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")

Rows = Sequence[Mapping[str, Any]]
_MODULES: Mapping[str, Any] = {"postgresql": postgresql, "sqlite": sqlite}
CHUNK = 1000
"""Values that one statement is given in a list, at most."""


def insert(connection: Connection, table: Table) -> Any:
    """`INSERT` with `on_conflict_do_…`, in the words of this connection's database."""
    return _MODULES[connection.dialect.name].insert(table)


def write(connection: Connection, statement: Executable, rows: Rows) -> None:
    """Execute a statement with each of `rows`, which have a value for every parameter of it.

    The values go to the driver as they are: what SQLAlchemy does to each costs more than the database's work.
    `statement` is made once: what it compiles to is kept.
    """
    if rows:
        words, values = _compiled(statement, connection.dialect)
        connection.exec_driver_sql(words, [values(row) for row in rows])


@lru_cache(maxsize=100)
def _compiled(statement: Any, dialect: Dialect) -> tuple[str, itemgetter[Any]]:
    """Its text, and what makes of a row the values that the text asks for, in order."""
    compiled = statement.compile(dialect=dialect)
    return compiled.string, itemgetter(*compiled.positiontup)


def insert_missing(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert rows; those whose primary key is there already stay as they are."""
    write(connection, _insert_missing(connection.dialect.name, table), rows)


def add(connection: Connection, table: Table, rows: Rows, sums: Sequence[str]) -> None:
    """Insert rows, or add their columns `sums` to what is there.

    Rows are written in the order of their keys, so that two transactions never wait for each other.
    """
    keys = [column.name for column in table.primary_key]
    ordered = sorted(rows, key=lambda row: [row[key] for key in keys])
    write(connection, _add(connection.dialect.name, table, tuple(sums)), ordered)


@lru_cache(maxsize=100)
def _insert_missing(dialect: str, table: Table) -> Any:
    return _MODULES[dialect].insert(table).on_conflict_do_nothing()


@lru_cache(maxsize=100)
def _add(dialect: str, table: Table, sums: tuple[str, ...]) -> Any:
    statement = _MODULES[dialect].insert(table)
    changed = {name: table.c[name] + statement.excluded[name] for name in sums}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed)


def chunks(values: Collection[T]) -> Iterator[list[T]]:
    """`values` in lists that a statement can take."""
    everything = list(values)
    for start in range(0, len(everything), CHUNK):
        yield everything[start : start + CHUNK]
