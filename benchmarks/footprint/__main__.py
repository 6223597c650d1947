"""What a request leaves behind, and what it asks of the servers: `python -m benchmarks.footprint`.

Requests that last longer than a posting batch are posted to SQLite and a PostgreSQL from a wheel that syncs,
as a gateway posts them: in batches of 500 records, each with ends of requests that began in earlier ones.
Counted are bytes in the tables, in their indexes, in the write-ahead log and in the journal, processor time,
and what of that passes while a batch holds the rows that every other batch waits for. Then what PostgreSQL is
asked for a key that was not seen for a while, for an organization that is new to a process, and for a beat
among a thousand processes; what Valkey keeps for a project and takes for a question; and how long a gateway
looks for an engine.

Two minutes on an idle machine with Linux. Of processor times the quickest tenth counts, so that other work on
it is hardly in them.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from tests.servers import fresh_database, postgres, valkey

from antiphon.ledger.records import encode
from benchmarks.footprint.books import posted, records
from benchmarks.footprint.choosing import chosen
from benchmarks.footprint.questions import asked, counts
from benchmarks.footprint.values import KIND, Results
from benchmarks.runs import RESULTS, about


async def measured(requests: int, questions: int) -> Results:
    """All of it, on servers of its own."""
    sample = list(records(100))
    with TemporaryDirectory(prefix="antiphon-") as name, valkey() as limits:
        folder, file = Path(name), Path(name) / "antiphon.db"
        books = {"SQLite": await posted(f"sqlite+aiosqlite:///{file}", requests, None, file)}
        settings = {"fsync": "on", "full_page_writes": "on", "autovacuum": "on", "max_wal_size": "4GB"}
        with postgres(**settings) as server, fresh_database(server) as database:
            books["PostgreSQL"] = await posted(database.url, requests, database, file)
            found = await asked(database, folder, questions)
        return Results(
            **about(KIND, ("antiphon", "sqlalchemy", "asyncpg", "valkey")),
            journal=sum(len(encode(record)) for record in sample) / 100,
            books=books,
            asked=found,
            counts=await counts(limits, questions * 10),
            chosen=chosen(questions),
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.footprint", description=__doc__)
    parser.add_argument("--requests", type=int, default=30_000)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    found = asyncio.run(measured(given.requests, given.questions))
    Console().print(found)
    print(f"written to {found.save(given.out)}")


if __name__ == "__main__":
    main()
