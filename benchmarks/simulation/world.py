"""A world of tenants, gateway processes and mishaps, and what must be true of its books at any time.

    processes ── open, hand over, settle, abort ──> ledger ──> disks, database
    mishaps   ── kill, power, full disk, broken sync, frozen, database away, limits and credits that change

The world remembers what each request was told. At the end, when everything is healthy again, the books must
agree with that, request by request.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterator
from datetime import date
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, create_engine, event, insert, select, update
from sqlalchemy.pool import StaticPool

from antiphon.ledger import credits, epochs, prices
from antiphon.ledger.meter import Account
from antiphon.ledger.verify import verify
from antiphon.storage.sqlite import installed, safe
from antiphon.storage.tables import (
    epoch,
    metadata,
    organization,
    project,
    request,
    spend_limit,
    spending,
)
from antiphon.values import Price, Snapshot, Usage
from benchmarks.simulation.gateway import Gateway, Told
from benchmarks.simulation.loop import Clock, run
from benchmarks.simulation.machines import Database, Disk, task_factory

TENANTS = 3
PROJECTS = 2
RATE = 60
"""Requests a second, of which each lasts about one."""
MACHINES = 2
PROCESSES = 3
CHECK_EVERY = 500
"""Requests between two looks at the books."""
SETTLED_SECONDS = 60.0
"""By then after the last mishap every request has ended (invariant I1)."""

CHAT = Snapshot(
    id="chat", task="chat", released=date(2024, 1, 1), owned_by="us", licence="MIT", context=4096,
    prices=(Price(since=date(2024, 1, 1), input=1_999_999, cached_input=333_333, output=2_000_001),),
)  # fmt: skip
SPEECH = Snapshot(
    id="speech", task="speech", released=date(2024, 1, 1), owned_by="us", licence="MIT",
    prices=(Price(since=date(2024, 1, 1), second=100_000),),
)  # fmt: skip
FREE = Snapshot(id="free", task="chat", released=date(2024, 1, 1), owned_by="us", licence="MIT")


class Broken(AssertionError):
    """An invariant does not hold. The seed in the text replays it."""


class World:
    """One run of `requests` requests, all of it decided by `seed`."""

    def __init__(self, seed: int, requests: int) -> None:
        self.seed, self._requests = seed, requests
        self.chance = random.Random(seed)
        self.clock = Clock()
        engine = create_engine("sqlite://", poolclass=StaticPool, module=safe(installed()))
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
        self.database = Database(engine, self.clock, self.chance)
        self._disks = [Disk(self.chance) for _ in range(MACHINES)]
        self._told: dict[str, Told] = {}
        self._given_up: set[str] = set()
        """Epochs that a peer closed."""
        self._allowed: dict[str, int] = {}
        """For each limited scope the most that may be charged and leased together, this month."""
        self._numbers = itertools.count(1)
        self._ids = itertools.count(1)
        self.counts: dict[str, int] = {}
        self._quiet = False
        self._accounts = [
            Account(
                organization_id=f"org-{t}", project_id=f"proj_{t}{p}", key_id=f"key_{t}{p}", member_id=None
            )
            for t in range(TENANTS)
            for p in range(PROJECTS)
        ]

    def run(self) -> dict[str, int]:
        """Raises `Broken`. The answer counts what happened."""
        close = epochs.close

        def watched(connection: Connection, epoch_id: str, seen: int | None, now: int) -> int:
            before = connection.scalar(select(epoch.c.closed_at).where(epoch.c.id == epoch_id))
            voided = close(connection, epoch_id, seen, now)
            after = connection.scalar(select(epoch.c.closed_at).where(epoch.c.id == epoch_id))
            if seen is not None and before is None and after is not None:
                self._given_up.add(epoch_id)
                self.count("given up by a peer")
            return voided

        ids = (f"{number:032x}" for number in itertools.count(1))

        class Id:
            def __init__(self) -> None:
                self.hex = next(ids)

        with patch("antiphon.ledger.ledger.uuid4", Id), patch.object(epochs, "close", watched):
            run(self.clock, self._main())
        return self.counts

    # --- the course of it ------------------------------------------------------------------------------

    async def _main(self) -> None:
        asyncio.get_running_loop().set_task_factory(task_factory)
        self.database.look(self._found)
        gateways = [Gateway(self, self._disks[n % MACHINES]) for n in range(PROCESSES)]
        lives = [asyncio.create_task(gateway.live()) for gateway in gateways]
        mishaps = asyncio.create_task(self._mishaps(gateways))
        try:
            await self._traffic(gateways)
        finally:
            mishaps.cancel()
        self._heal()
        await asyncio.sleep(SETTLED_SECONDS)
        self._check(final=True)
        for gateway in gateways:
            gateway.stopping = True
            gateway.stop.set()
        await asyncio.gather(*lives)
        self._check(final=True)
        self._compare()

    async def _traffic(self, gateways: list[Gateway]) -> None:
        for number in range(self._requests):
            await asyncio.sleep(self.chance.expovariate(RATE))
            ready = [gateway for gateway in gateways if gateway.ledger is not None]
            if ready:
                self.chance.choice(ready).ask()
            if number % CHECK_EVERY == 0:
                self._check()

    async def _mishaps(self, gateways: list[Gateway]) -> None:
        kinds = [
            self._kill, self._kill, self._power, self._graceful, self._full, self._broken_sync, self._freeze,
            self._away, self._hang, self._flaky, self._wall_clock, self._limit, self._limit, self._credit,
        ]  # fmt: skip
        while True:
            await asyncio.sleep(self.chance.uniform(0.2, 4))
            mishap = self.chance.choice(kinds)
            self.count(mishap.__name__.removeprefix("_").replace("_", " "))
            mishap(self.chance.choice(gateways))

    def _heal(self) -> None:
        self.database.away_until = self.database.hangs_until = self.database.failing = 0.0
        for disk in self._disks:
            disk.full = False

    # --- mishaps ---------------------------------------------------------------------------------------

    def _kill(self, gateway: Gateway) -> None:
        gateway.kill()

    def _power(self, gateway: Gateway) -> None:
        gateway.kill(power=True)

    def _graceful(self, gateway: Gateway) -> None:
        gateway.stop.set()

    def _full(self, gateway: Gateway) -> None:
        gateway.machine.full = True
        self._later(self.chance.uniform(0.1, 10), setattr, gateway.machine, "full", False)

    def _broken_sync(self, gateway: Gateway) -> None:
        if gateway.process is not None:
            gateway.process.disk.breaks_next_sync = True
            # A supervisor restarts what takes no more requests.
            self._later(self.chance.uniform(1, 10), gateway.kill)

    def _freeze(self, gateway: Gateway) -> None:
        if gateway.process is not None and gateway.process.frozen_until < self.clock.now:
            gateway.process.frozen_from = self.clock.now
            gateway.process.frozen_until = self.clock.now + self.chance.choice((0.5, 3, 20, 40))

    def _away(self, gateway: Gateway) -> None:
        self.database.away_until = self.clock.now + self.chance.choice((0.5, 3, 10))

    def _hang(self, gateway: Gateway) -> None:
        self.database.hangs_until = self.clock.now + self.chance.choice((0.5, 3, 10))

    def _flaky(self, gateway: Gateway) -> None:
        self.database.failing = self.chance.uniform(0, 0.5)
        self._later(self.chance.uniform(1, 20), setattr, self.database, "failing", 0.0)

    def _wall_clock(self, gateway: Gateway) -> None:
        self.clock.offset = self.chance.choice((Clock.START, Clock.START - 3600, Clock.START + 3600))

    def _limit(self, gateway: Gateway) -> None:
        account = self.chance.choice(self._accounts)
        scope = self.chance.choice((account.organization_id, account.project_id))
        self.database.look(self._set_limit, scope, self.chance.randint(5, 500))

    def _credit(self, gateway: Gateway) -> None:
        account = self.chance.choice(self._accounts)
        prepaid = self.chance.random() < 0.3
        self.database.look(self._give_credit, account.organization_id, prepaid, self.chance.randint(1, 10**9))

    def _later(self, seconds: float, act: Any, *arguments: Any) -> None:
        asyncio.get_running_loop().call_later(seconds, act, *arguments)

    # --- what the database holds -----------------------------------------------------------------------

    def _found(self, connection: Connection) -> None:
        metadata.create_all(connection)
        names = sorted({account.organization_id for account in self._accounts})
        connection.execute(
            insert(organization),
            [{"id": name, "name": name, "created_at": 0, "prepaid": False} for name in names],
        )
        connection.execute(
            insert(project),
            [
                {
                    "id": a.project_id,
                    "organization_id": a.organization_id,
                    "name": a.project_id,
                    "created_at": 0,
                }
                for a in self._accounts
            ],
        )

    def _set_limit(self, connection: Connection, scope: str, cents: int) -> None:
        values = {"cents": cents, "updated_at": int(self.clock.wall())}
        change = update(spend_limit).where(spend_limit.c.scope == scope)
        if connection.execute(change.values(values)).rowcount == 0:
            connection.execute(insert(spend_limit).values(values | {"scope": scope}))
        # What was spent and leased before the limit came stays as it is.
        self._allowed[scope] = max(cents * 10**7, _committed(connection, scope))

    def _give_credit(self, connection: Connection, organization_id: str, prepaid: bool, amount: int) -> None:
        credits.add(connection, organization_id, amount, "", int(self.clock.wall()))
        change = update(organization).where(organization.c.id == organization_id).values(prepaid=prepaid)
        connection.execute(change)

    # --- requests --------------------------------------------------------------------------------------

    def new_request(self) -> tuple[str, Account, Snapshot, Usage, Usage]:
        """An id, who pays, for what, at most how much, and how much it will be."""
        snapshot = self.chance.choice((CHAT, CHAT, CHAT, SPEECH, FREE))
        if snapshot.task == "speech":
            seconds = self.chance.uniform(0.1, 600)
            most = used = Usage(seconds=seconds)
        else:
            prompt, answer = self.chance.randint(1, 2000), self.chance.randint(1, 1000)
            most = Usage(prompt_tokens=prompt, completion_tokens=answer)
            cached = self.chance.randint(0, prompt)
            over = self.chance.random() < 0.01
            used = Usage(
                prompt_tokens=prompt,
                cached_tokens=cached,
                completion_tokens=2 * answer if over else self.chance.randint(0, answer),
            )
        account = self.chance.choice(self._accounts)
        return f"req_{next(self._numbers)}", account, snapshot, most, used

    def told(self, request_id: str, snapshot: Snapshot, bound: Usage) -> Told:
        price = prices.effective(snapshot.prices, date(2026, 1, 1))
        told = self._told[request_id] = Told(snapshot, prices.bound(price, bound))
        return told

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    # --- what must be true -----------------------------------------------------------------------------

    def _check(self, final: bool = False) -> None:
        findings = [str(finding) for finding in self.database.look(verify)]
        findings += self.database.look(self._passed_limits)
        if final:
            findings += self.database.look(self._still_open)
        if findings:
            raise Broken(f"seed {self.seed}, second {self.clock.now:.1f}: {findings[:5]}")

    def _passed_limits(self, connection: Connection) -> Iterator[str]:
        return iter(
            [
                f"{scope} has committed {_committed(connection, scope)} of {allowed}"
                for scope, allowed in self._allowed.items()
                if _committed(connection, scope) > allowed
            ]
        )

    def _still_open(self, connection: Connection) -> list[str]:
        found = connection.execute(select(request.c.id).where(request.c.status == "open"))
        return [f"{row.id} is still open" for row in found]

    def _compare(self) -> None:
        rows = {row.id: row for row in self.database.look(lambda c: c.execute(select(request)).all())}
        wrong = [text for id, told in self._told.items() if (text := self._disagreement(told, rows.get(id)))]
        if wrong or set(rows) - set(self._told):
            raise Broken(f"seed {self.seed}: {len(wrong)} requests, first {wrong[:3]}")

    def _disagreement(self, told: Told, row: Any) -> str | None:
        status, cost = ("missing", 0) if row is None else (row.status, row.cost)
        self.count(status)
        lost = row is not None and status == "lost" and row.epoch in self._given_up
        possible = {self._costs(told, usage) for usage in (told.handed, told.settling) if usage is not None}
        if told.settled and told.settling is not None:
            right = lost or (status == "settled" and cost == self._costs(told, told.settling))
        elif told.refused:
            right = cost == 0 and status in ("missing", "voided")
        elif possible:
            # A settlement that nobody was told of may have reached the disk; what a crash cut off is void.
            ended = status == "settled" and cost in possible
            right = lost or ended or (told.killed and status in ("missing", "voided"))
        else:
            right = lost or status in ("voided", "missing")
        return None if right else f"{told} is {status} at {cost} ({row and row.id})"

    def _costs(self, told: Told, usage: Usage) -> int:
        price = prices.effective(told.snapshot.prices, date(2026, 1, 1))
        return min(told.bound, prices.cost(price, usage).total)


def _committed(connection: Connection, scope: str) -> int:
    rows = connection.execute(select(spending).where(spending.c.scope == scope)).all()
    return max((row.charged + row.leased for row in rows), default=0)
