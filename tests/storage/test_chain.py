"""The chain grows by one row at a time, whoever writes, and the database lets it do nothing else."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.exc import IntegrityError

from antiphon.storage import chain
from antiphon.storage.audit_proof import heads, verify
from antiphon.storage.database import Database
from antiphon.storage.tables import audit_head, audit_log
from audit_rows import PEPPER, event, fill


@pytest.fixture
async def written(database_url: str, database: Database) -> None:
    async with database.begin() as connection:
        await connection.run_sync(fill, "org-a", "org-b", None)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    "statement",
    [
        "update audit_log set payload = '{}' where sequence = 2",
        "delete from audit_log where sequence = 2",
        "delete from audit_log",
        "delete from audit_head",
        "update audit_head set sequence = sequence - 1",
        "update audit_head set chain = 'other' where chain = 'org-a'",
        "truncate audit_log",
        "truncate audit_head",
    ],
)
async def test_the_database_lets_it_only_grow(database: Database, statement: str) -> None:
    async with database.connect() as connection:
        if connection.dialect.name == "sqlite" and statement.startswith("truncate"):
            statement = statement.replace("truncate", "delete from")
    with pytest.raises(IntegrityError, match="append-only"):
        async with database.begin() as connection:
            await connection.execute(text(statement))
    async with database.connect() as connection:
        assert await connection.run_sync(verify, b"") == []


@pytest.mark.usefixtures("written")
async def test_rows_are_numbered_in_each_chain_and_the_first_says_that_it_began(database: Database) -> None:
    async with database.connect() as connection:
        query = select(audit_log.c.chain, audit_log.c.sequence).order_by(audit_log.c.chain, "sequence")
        places = [tuple(row) for row in await connection.execute(query)]
        begun = await connection.scalars(
            select(audit_log.c.payload).where(audit_log.c.type == chain.STARTED).order_by("sequence")
        )
        assert begun.all() == ['{"id":"org-a"}', '{"id":"org-b"}']
        ends = await connection.run_sync(heads)
    assert places == [
        *(("installation", number) for number in range(1, 8)),
        *(("org-a", number) for number in range(1, 6)),
        *(("org-b", number) for number in range(1, 6)),
    ]
    assert [(end.chain, end.sequence) for end in ends] == [("installation", 7), ("org-a", 5), ("org-b", 5)]


async def test_writers_at_once_never_fork_a_chain(database_url: str, database: Database) -> None:
    """Over connections and processes' databases of their own; the first of them begin the chains together."""
    async with database.begin() as connection:
        await connection.run_sync(fill, "org-a", "org-b", rows=0)
    writers, each = 6, 8

    async def write(number: int) -> None:
        async with Database(database_url, 30.0) as own:
            for turn in range(each):
                name = ("org-a", "org-b", None)[(number + turn) % 3]
                async with own.begin() as connection:
                    await connection.run_sync(chain.append, event(number * each + turn, name))

    async with asyncio.timeout(60):
        await asyncio.gather(*map(write, range(writers)))
    async with database.connect() as connection:
        assert await connection.run_sync(verify, b"") == []
        assert await connection.scalar(select(func.count()).select_from(audit_log)) == writers * each + 2


async def test_what_is_rolled_back_leaves_no_gap(database: Database) -> None:
    async with database.begin() as connection:
        await connection.run_sync(fill, "org-a", rows=2)
    with pytest.raises(ZeroDivisionError):
        async with database.begin() as connection:
            await connection.run_sync(chain.append, event(7))
            raise ZeroDivisionError
    async with database.begin() as connection:
        await connection.run_sync(chain.append, event(8))
    async with database.connect() as connection:
        assert await connection.run_sync(verify, b"") == []


async def test_every_way_to_write_seals_with_the_pepper(database_url: str) -> None:
    """`begin`, `run`, and both of a database that is apart. The tables were made without a pepper."""

    def end(connection: Connection) -> tuple[int, bytes]:
        row = connection.execute(select(audit_head).where(audit_head.c.chain == "org-a")).one()
        assert chain.fits(PEPPER, row)
        return row.sequence, row.digest

    async with Database(database_url, pepper=PEPPER) as database, database.apart() as apart:
        async with database.begin() as connection:
            await connection.run_sync(fill, "org-a", rows=1)
        await database.run(lambda connection: chain.append(connection, event(1)))
        await apart.run(lambda connection: chain.append(connection, event(2)))
        async with apart.begin() as connection:
            await connection.run_sync(chain.append, event(3))
        async with database.connect() as connection:
            assert (await connection.run_sync(end))[0] == 4


async def test_the_next_act_does_not_mend_an_end_that_does_not_fit(database: Database) -> None:
    async with database.begin() as connection:
        await connection.run_sync(fill, "org-a", rows=2)
        broken = update(audit_head).where(audit_head.c.chain == "org-a")
        await connection.execute(broken.values(sequence=audit_head.c.sequence + 1, seal=b"x"))
    async with database.begin() as connection:
        await connection.run_sync(chain.append, event(9))
    async with database.connect() as connection:
        [finding] = await connection.run_sync(verify, b"")
    assert (finding.chain, finding.sequence) == ("org-a", 4)


def test_a_digest_covers_every_part_of_a_row_and_what_was_before() -> None:
    row = event(1) | {"chain": "org-a", "sequence": 1}
    known = chain.digest(chain.START, row)
    assert known == chain.digest(chain.START, dict(row))
    assert known != chain.digest(bytes(31) + b"\1", row)
    for name in row:
        other = row | {name: 7 if isinstance(row[name], int) else f"{row[name]}."}
        assert chain.digest(chain.START, other) != known, name
