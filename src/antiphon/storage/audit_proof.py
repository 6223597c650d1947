"""The proof of the audit log: every row is in its place, and nothing is missing, not even at the end."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, select

from antiphon.storage.chain import INSTALLATION, START, STARTED, digest, fits
from antiphon.storage.tables import audit_head, audit_log

PAGE = 1000
"""Rows that are read at once."""
_HEAD = re.compile(r"(\S+) (\d{1,18}) ([0-9a-f]{64})", re.ASCII)


class Head(msgspec.Struct, frozen=True):
    """Where a chain ended: its last row's number and digest. Kept elsewhere, it holds what was before."""

    chain: str
    sequence: int
    digest: str
    """In hexadecimal."""

    def __str__(self) -> str:
        return f"{self.chain} {self.sequence} {self.digest}"


class Finding(msgspec.Struct, frozen=True):
    """What is wrong with a chain, first of all at this row; `sequence` 0 and `id` "" are no row's."""

    chain: str
    sequence: int
    id: str
    problem: str

    def __str__(self) -> str:
        row = f"row {self.sequence}" if self.sequence else "the chain"
        return f"{self.chain}: {row}{f' ({self.id})' if self.id else ''}: {self.problem}"


def parsed(text: str) -> list[Head]:
    """Heads as lines of text. Raises `ValueError` naming the first line that is none, or if there is none."""
    heads = []
    for number, line in enumerate(filter(str.strip, text.splitlines()), 1):
        if not (match := _HEAD.fullmatch(line.strip())):
            raise ValueError(f"line {number} is not a chain, a number and a digest")
        heads.append(Head(match[1], int(match[2]), match[3]))
    if not heads:
        raise ValueError("there is no head in it")
    return heads


def heads(connection: Connection) -> list[Head]:
    """The end of every chain, the installation's first."""
    query = select(audit_head).order_by(audit_head.c.chain != INSTALLATION, audit_head.c.chain)
    return [Head(row.chain, row.sequence, row.digest.hex()) for row in connection.execute(query)]


def verify(
    connection: Connection,
    pepper: bytes,
    kept: Sequence[Head] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Finding]:
    """What is wrong, the first thing of each chain. `kept`: heads from elsewhere, to be found in them.

    `progress` is told how many rows were read, and how many there should be. Reads all of the log, in pages;
    run it in one transaction.
    """
    ends = {row.chain: row for row in connection.execute(select(audit_head))}
    numbers = select(audit_log.c.chain, func.count()).group_by(audit_log.c.chain)
    counts: dict[str, int] = {chain: count for chain, count in connection.execute(numbers)}
    total, done = sum(counts.values()), 0
    begun: Counter[str] = Counter()
    findings = []
    for chain in sorted({INSTALLATION, *ends, *counts}, key=lambda name: (name != INSTALLATION, name)):
        walk = _Walk(pepper, chain, ends.get(chain), [one for one in kept if one.chain == chain])
        for row in _rows(connection, chain):
            if not walk.take(row):
                break
            begun.update(_begins(row))
            done += 1
            if done % PAGE == 0:
                progress(done, total)
        findings += walk.end(counts.get(chain, 0))
    progress(total, total)
    return [*findings, *_beginnings(begun, ends, findings), *_unknown(kept, {*ends, *counts, INSTALLATION})]


class _Walk:
    """Along one chain; `take` says whether to go on."""

    def __init__(self, pepper: bytes, chain: str, end: Row[Any] | None, kept: Sequence[Head]) -> None:
        self._pepper, self._chain, self._end = pepper, chain, end
        self._kept = {one.sequence: one.digest for one in kept}
        self._sequence, self._digest = 0, START
        self._finding: Finding | None = None

    def take(self, row: Row[Any]) -> bool:
        problem = self._problem(row)
        if problem is None:
            self._sequence, self._digest = row.sequence, row.digest
            return True
        self._finding = Finding(self._chain, row.sequence, row.id, problem)
        return False

    def end(self, count: int) -> list[Finding]:
        """What is wrong, after the last row; `count` is how many rows there are."""
        if self._finding is None and (problem := self._problem_of_end(count)):
            self._finding = Finding(self._chain, 0, "", problem)
        return [self._finding] if self._finding else []

    def _problem(self, row: Row[Any]) -> str | None:
        if row.sequence != self._sequence + 1:
            return f"it comes after row {self._sequence}: what was between is gone, or it was put in"
        if row.digest != digest(self._digest, row._asdict()):
            return "it was changed, or what was before it"
        if self._kept.get(row.sequence, row.digest.hex()) != row.digest.hex():
            return "it is not the one of the head that was kept"
        if self._end is not None and row.sequence > self._end.sequence:
            return f"it comes after the end, which is row {self._end.sequence}"
        return None

    def _problem_of_end(self, count: int) -> str | None:
        last, end = self._sequence, self._end
        if self._kept and max(self._kept) > last:
            return f"it ends with row {last}, and a head was kept of row {max(self._kept)}"
        if end is None:
            return "its end is not known: it was removed, or is none of ours"
        if (end.sequence, end.digest) != (last, self._digest):
            return f"it ends with row {last}, and should with row {end.sequence}: the last rows are gone"
        if not fits(self._pepper, end):
            return (
                "its end has not the seal of this installation: it was changed, or sealed with another pepper"
            )
        if count != last:
            return f"{count} rows say that they belong to it, and {last} do"
        return None


_COLUMNS = [column for column in audit_log.c]


def _rows(connection: Connection, chain: str) -> Iterator[Row[Any]]:
    query = select(*_COLUMNS).where(audit_log.c.chain == chain).order_by(audit_log.c.sequence).limit(PAGE)
    rows = connection.execute(query).all()
    while rows:
        yield from rows
        rows = connection.execute(query.where(audit_log.c.sequence > rows[-1].sequence)).all()


def _begins(row: Row[Any]) -> list[str]:
    """The chain that an event of the installation begins."""
    if row.chain != INSTALLATION or row.type != STARTED:
        return []
    return [msgspec.json.decode(row.payload)["id"]]


def _beginnings(begun: Counter[str], ends: dict[str, Row[Any]], found: Sequence[Finding]) -> list[Finding]:
    """What the installation's chain says of others, if it can be believed."""
    if any(one.chain == INSTALLATION for one in found):
        return []
    bad = {one.chain for one in found}
    said = [(chain, "it was begun, and is gone") for chain in begun.keys() - ends.keys()]
    said += [(chain, "it was begun twice: what was before is gone") for chain in begun if begun[chain] > 1]
    said += [(chain, "nothing says that it was begun") for chain in ends.keys() - {INSTALLATION, *begun}]
    return [Finding(chain, 0, "", problem) for chain, problem in sorted(said) if chain not in bad]


def _unknown(kept: Sequence[Head], known: set[str]) -> list[Finding]:
    gone = sorted({one.chain for one in kept} - known)
    return [Finding(chain, 0, "", "a head of it was kept, and it is gone") for chain in gone]
