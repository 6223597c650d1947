"""Every kind of tampering is found, and the first bad row of each chain is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, delete, insert, select, text, update

from antiphon.storage import audit_proof, chain
from antiphon.storage.audit_proof import Finding, Head, heads, parsed, verify
from antiphon.storage.database import Database
from antiphon.storage.tables import audit_head, audit_log
from audit_rows import PEPPER, event, fill, without_triggers

ROWS = 5
Tampering = Callable[[Connection], object]


def _set(sequence: int, /, **values: object) -> Tampering:
    row = (audit_log.c.chain == "org-a") & (audit_log.c.sequence == sequence)
    return lambda connection: connection.execute(update(audit_log).where(row).values(**values))


def _remove(*sequences: int) -> Tampering:
    rows = (audit_log.c.chain == "org-a") & audit_log.c.sequence.in_(sequences)
    return lambda connection: connection.execute(delete(audit_log).where(rows))


def _swap(connection: Connection) -> None:
    for before, after in ((2, -2), (3, 2), (-2, 3)):
        _set(before, sequence=after)(connection)


def _renumber(connection: Connection) -> None:
    """Take one out, close the gap, and make every digest and the end fit, all but the seal."""
    _remove(3)(connection)
    for sequence in (4, 5):
        _set(sequence, sequence=sequence - 1)(connection)
    _rechain(connection)


def _change_and_rechain(connection: Connection) -> None:
    _set(2, payload="{}")(connection)
    _rechain(connection)


def _rechain(connection: Connection) -> None:
    last, sequence = chain.START, 0
    query = select(audit_log).where(audit_log.c.chain == "org-a").order_by(audit_log.c.sequence)
    for row in connection.execute(query).all():
        sequence, last = row.sequence, chain.digest(last, row._asdict())
        _set(sequence, digest=last)(connection)
    _end(connection, sequence=sequence, digest=last)


def _end(connection: Connection, **values: object) -> None:
    connection.execute(update(audit_head).where(audit_head.c.chain == "org-a").values(**values))


def _put_in(connection: Connection) -> None:
    """Between two rows, whose numbers make room."""
    for sequence in (5, 4, 3):
        _set(sequence, sequence=sequence + 1)(connection)
    row = event(99) | {"chain": "org-a", "sequence": 3}
    connection.execute(insert(audit_log).values(row | {"digest": chain.digest(chain.START, row)}))


def _put_after(connection: Connection) -> None:
    last = connection.scalar(select(audit_head.c.digest).where(audit_head.c.chain == "org-a"))
    row = event(99) | {"chain": "org-a", "sequence": ROWS + 1}
    connection.execute(insert(audit_log).values(row | {"digest": chain.digest(last, row)}))


def _put_before(connection: Connection) -> None:
    row = event(99) | {"chain": "org-a", "sequence": -4, "digest": b"x"}
    connection.execute(insert(audit_log).values(row))


def _take_back(connection: Connection) -> None:
    """Remove the last row, and make the end fit as far as that goes without the pepper."""
    _remove(ROWS)(connection)
    last = connection.scalar(
        select(audit_log.c.digest).where(audit_log.c.chain == "org-a", audit_log.c.sequence == ROWS - 1)
    )
    _end(connection, sequence=ROWS - 1, digest=last)


def _empty(connection: Connection) -> None:
    connection.execute(delete(audit_log))


def _empty_all(connection: Connection) -> None:
    _empty(connection)
    connection.execute(delete(audit_head))


def _remove_chain(connection: Connection) -> None:
    _remove(*range(1, ROWS + 1))(connection)
    connection.execute(delete(audit_head).where(audit_head.c.chain == "org-a"))


def _begin_again(connection: Connection) -> None:
    """The chain is removed; the next act begins it anew, with a seal that fits."""
    _remove_chain(connection)
    chain.append(connection, event(99))


def _begin_installation_again(connection: Connection) -> None:
    _empty_all(connection)
    chain.append(connection, event(98, None))


def _foreign_chain(connection: Connection) -> None:
    row = event(99) | {"chain": "mine", "sequence": 1}
    connection.execute(insert(audit_log).values(row | {"digest": chain.digest(chain.START, row)}))


def _move(connection: Connection) -> None:
    """The last row of one organization is hung into another's chain."""
    _set(ROWS, chain="org-b", sequence=ROWS + 1)(connection)


KINDS: list[tuple[Tampering, dict[str, int]]] = [
    (_set(3, payload='{"id":"thing_0"}'), {"org-a": 3}),
    (_set(1, actor_key_id="key_b"), {"org-a": 1}),
    (_set(4, effective_at=1), {"org-a": 4}),
    (_set(5, type="thing.created"), {"org-a": 5}),
    (_set(2, organization_id=None), {"org-a": 2}),
    (_set(2, digest=b"x" * 32), {"org-a": 2}),
    (_swap, {"org-a": 2}),
    (_remove(1), {"org-a": 2}),
    (_remove(3), {"org-a": 4}),
    (_remove(ROWS), {"org-a": 0}),
    (_remove(4, 5), {"org-a": 0}),
    (_take_back, {"org-a": 0}),
    (_renumber, {"org-a": 0}),
    (_change_and_rechain, {"org-a": 0}),
    (_put_in, {"org-a": 3}),
    (_put_after, {"org-a": 6}),
    (_put_before, {"org-a": -4}),
    (_empty, {"installation": 0, "org-a": 0, "org-b": 0}),
    (_empty_all, {"installation": 0}),
    (_remove_chain, {"org-a": 0}),
    (_begin_again, {"org-a": 0}),
    (_begin_installation_again, {"installation": 0}),
    (_foreign_chain, {"mine": 0}),
    (_move, {"org-a": 0, "org-b": 6}),
    (lambda connection: _end(connection, seal=b""), {"org-a": 0}),
    (lambda connection: _end(connection, sequence=ROWS + 1), {"org-a": 0}),
]


def found(findings: list[Finding]) -> dict[str, int]:
    assert len({one.chain for one in findings}) == len(findings)
    return {one.chain: one.sequence for one in findings}


async def test_tampering_is_found(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kind, each in a transaction that is rolled back; pages shorter than a chain."""
    monkeypatch.setattr(audit_proof, "PAGE", 2)
    async with Database(database_url, pepper=b"") as database:
        async with database.begin() as connection:
            await connection.run_sync(fill, "org-a", "org-b", None, rows=ROWS)
            await connection.run_sync(without_triggers)
        for number, (tamper, wanted) in enumerate(KINDS):
            async with database._writer.connect() as connection:
                assert await connection.run_sync(verify, b"") == []
                await connection.run_sync(tamper)
                assert found(await connection.run_sync(verify, b"")) == wanted, number
                await connection.rollback()


async def test_a_seal_is_made_with_the_pepper(database: Database) -> None:
    async with database.begin() as connection:
        await connection.run_sync(fill, "org-a", rows=1)
        assert await connection.run_sync(verify, b"") == []
        findings = await connection.run_sync(verify, PEPPER)
    assert found(findings) == {"installation": 0, "org-a": 0}
    assert "another pepper" in findings[0].problem


async def test_heads_that_were_kept_show_what_the_seal_cannot(database: Database) -> None:
    """Who holds the pepper, or an old copy of the end, takes the whole log back to an earlier state."""
    async with database.begin() as connection:
        await connection.run_sync(fill, "org-a", rows=3)
        early = parsed("\n".join(map(str, await connection.run_sync(heads))))
        before = (await connection.execute(select(audit_head).where(audit_head.c.chain == "org-a"))).one()
        await connection.run_sync(chain.append, event(50))
        late = await connection.run_sync(heads)
        assert await connection.run_sync(verify, b"", [*early, *late]) == []
        await connection.run_sync(without_triggers)
        await connection.run_sync(_remove(4))
        await connection.execute(
            update(audit_head).where(audit_head.c.chain == "org-a").values(before._asdict())
        )
        assert await connection.run_sync(verify, b"", early) == []
        assert found(await connection.run_sync(verify, b"", late)) == {"org-a": 0}
        other = [Head("org-a", 2, "0" * 64), Head("org-z", 1, "0" * 64)]
        assert found(await connection.run_sync(verify, b"", other)) == {"org-a": 2, "org-z": 0}


@pytest.mark.parametrize("text", ["", "\n", "org-a 1", "org-a x " + "0" * 64, "org-a 1 " + "0" * 63])
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="head|line 1"):
        parsed(text)


async def test_progress_is_told(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_proof, "PAGE", 2)
    told: list[tuple[int, int]] = []
    async with database.begin() as connection:
        await connection.run_sync(fill, "org-a", rows=4)
        await connection.run_sync(lambda c: verify(c, b"", progress=lambda *numbers: told.append(numbers)))
    assert told == [(2, 5), (4, 5), (5, 5)]


@pytest.fixture(scope="module")
def engine(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = shutil.copy(migrated_sqlite, tmp_path_factory.mktemp("audit") / "a.db")
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        fill(connection, "org-a", "org-b", None, rows=ROWS)
        without_triggers(connection)
    yield engine
    engine.dispose()


_EDITS = st.one_of(
    st.tuples(st.just("remove"), st.integers(0, 16), st.just("")),
    st.tuples(
        st.sampled_from(["payload", "type", "actor_key_id", "project_id", "id", "chain"]),
        st.integers(0, 16),
        st.text(alphabet="abc{}", max_size=3),
    ),
    st.tuples(st.sampled_from(["sequence", "effective_at"]), st.integers(0, 16), st.integers(-2, 9).map(str)),
)


@given(edits=st.lists(_EDITS, min_size=1, max_size=4))
def test_whatever_is_changed_is_found(engine: Any, edits: list[tuple[str, int, str]]) -> None:
    """Random changes of random rows: found exactly if they left anything else than there was."""
    with engine.connect() as connection:
        query = select(audit_log).order_by(audit_log.c.chain, audit_log.c.sequence)
        before = connection.execute(query).all()
        for name, place, value in edits:
            row = audit_log.c.id == before[place].id
            if name == "remove":
                connection.execute(delete(audit_log).where(row))
            else:
                number = int(value) if name in ("sequence", "effective_at") else value
                words = text(f"update or ignore audit_log set {name} = :value where id = :id")
                connection.execute(words, {"value": number, "id": before[place].id})
        changed = connection.execute(query).all() != before
        assert bool(verify(connection, b"")) == changed
        connection.rollback()
