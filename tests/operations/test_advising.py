"""Advice from books: what is taken from where, and what is said instead of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, insert, update

from antiphon.catalogue.catalogue import Catalogue, load
from antiphon.catalogue.entries import Dedicated as Offered
from antiphon.catalogue.entries import Needs, UpstreamSource
from antiphon.errors import InvalidRequest
from antiphon.ledger import measurements
from antiphon.ledger.levels import Level, Percentiles
from antiphon.ledger.measurements import Measurement
from antiphon.ledger.posting import post
from antiphon.ledger.store import DatabaseStore
from antiphon.operations.advising import Advisor, Answer, Question
from antiphon.operations.dedicated import Dedicated
from antiphon.pools import machines
from antiphon.settings import Settings
from antiphon.settings import load as load_settings
from antiphon.storage.database import Database
from antiphon.storage.tables import dedicated_instance, organization
from antiphon.values import Capacity, Price
from ledger_rows import NOVEMBER, found, fund, reserve, settle

CHAT, OTHER, SPEECH = "smollm2-135m-instruct-2024-11-01", "other-2024-01-01", "whisper-base-2022-09-21"
DOLLAR = 10**9
DAY = 86_400
USED = 10
"""Days before the one on which advice is asked for: on each, 1,000 tokens for a dollar."""
NOW = NOVEMBER + USED * DAY
TODAY = datetime.fromtimestamp(NOW, UTC).date()
PRICE = Price(since=date(2026, 1, 1), input=DOLLAR, output=DOLLAR)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"home": str(tmp_path)})


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """With a chat model that is offered for $1 an hour, and needs a processor."""
    shipped = load(tmp_path)
    offered = msgspec.structs.replace(
        shipped.entries[CHAT], dedicated=Offered(price_per_hour="1"), needs=Needs(cpus=1)
    )
    other = msgspec.structs.replace(shipped.entries[CHAT], id=OTHER)
    entries = {**shipped.entries, CHAT: offered, OTHER: other}
    return Catalogue(entries, shipped.aliases, frozenset({CHAT, OTHER}), NOW)


@pytest.fixture
async def store(database: Database) -> DatabaseStore:
    """Ten days of use of one model, and little of another."""
    store = DatabaseStore(database)
    await store.run(found)
    await store.run(partial(fund, amount=10**12))
    for number in range(USED):
        at = NOVEMBER + number * DAY
        about = {"created_at": at, "snapshot": CHAT, "price": PRICE}
        records = [
            reserve(2 * number + 1, f"req_{number}", DOLLAR, **about),
            msgspec.structs.replace(
                settle(2 * number + 2, f"req_{number}", 900, 100),
                input_cost=9 * DOLLAR // 10,
                output_cost=DOLLAR // 10,
            ),
        ]
        await store.run(post, "epoch_1", records, NOVEMBER)
    little = [reserve(100, "req_o", snapshot=OTHER), settle(101, "req_o", 1, 1)]
    speech = [reserve(102, "req_s", snapshot=SPEECH, task="speech"), settle(103, "req_s", 0, 0, 9)]
    await store.run(post, "epoch_1", [*little, *speech], NOVEMBER)
    return store


class Asked:
    """Asks for the first organization, or another."""

    def __init__(self, advisor: Advisor) -> None:
        self._advisor = advisor

    async def all(self, organization_id: str = "org-1", **question: Any) -> list[Answer]:
        return await self._advisor.advised(organization_id, Question(**question))

    async def one(self, **question: Any) -> Answer:
        [answer] = await self.all(**{"model": CHAT} | question)
        return answer


@pytest.fixture
def asked(store: DatabaseStore, database: Database, catalogue: Catalogue, settings: Settings) -> Asked:
    dedicated = Dedicated(database, lambda: catalogue, settings, lambda: NOW)
    return Asked(Advisor(database, dedicated, catalogue, lambda: NOW))


def level(load: int, throughput: float, wait: float | None) -> Level:
    return Level(
        load=load,
        answered=9,
        failed=0,
        seconds=9.0,
        throughput=throughput,
        written=throughput / 2,
        prompt_tokens=1.0,
        answer_tokens=1.0,
        first_token=Percentiles(*[None if wait is None else wait / 10] * 4),
        answer=Percentiles(*[wait] * 4),
    )


async def measured(store: DatabaseStore) -> None:
    levels = (level(1, 3.9, 0.5), level(4, 10.0, 2.0), level(8, 20.0, None), level(16, 0.5, 1.0))
    made = Measurement(
        id="measurement_1",
        organization_id="org-2",
        snapshot=CHAT,
        engine="llama",
        measured_at=7,
        levels=levels,
    )
    await store.run(measurements.save, made)


async def test_each_model_is_advised_on_the_dearest_first(asked: Asked) -> None:
    answers = await asked.all()
    assert [answer.snapshot for answer in answers] == [CHAT, OTHER]
    advice = answers[0].advice
    # Thirty days, of which the last ten cost a dollar each.
    assert len(answers[0].days) == 30 and answers[0].days[-1].day == TODAY - timedelta(1)
    assert sum(day.cost for day in answers[0].days) == USED * DOLLAR
    assert advice.price == DOLLAR and advice.tokens == 1000 * USED // 30
    assert answers[0].busiest is not None
    assert (answers[0].busiest.start, answers[0].busiest.tokens, answers[0].peak) == (NOVEMBER, 1000, 17)


async def test_the_days_of_a_young_organization_begin_with_it(asked: Asked, store: DatabaseStore) -> None:
    def born(connection: Connection) -> None:
        connection.execute(update(organization).values(created_at=NOW - 5 * DAY))

    await store.run(born)
    assert [day.cost for day in (await asked.one()).days] == [DOLLAR] * 4
    assert len((await asked.one(days=2)).days) == 2


async def test_an_organization_of_today_has_yesterday(asked: Asked, store: DatabaseStore) -> None:
    def born(connection: Connection) -> None:
        connection.execute(update(organization).values(created_at=NOW))

    await store.run(born)
    assert len((await asked.one()).days) == 1


async def test_what_was_measured_is_what_is_offered(asked: Asked, store: DatabaseStore) -> None:
    await measured(store)
    answer = await asked.one(peak=30)
    assert [(offer.name, offer.throughput, offer.latency) for offer in answer.offers] == [
        ("load 1", 3, 500),
        ("load 4", 10, 2000),
    ]
    assert answer.measured is not None and answer.remarks == []
    plan = answer.advice.plan
    assert plan is not None and (plan.offer.name, plan.replicas) == ("load 4", 3)
    assert plan.cost == 3 * 24 * DOLLAR and answer.advice.break_even == 72_000
    quick = (await asked.one(peak=30, latency=1.0)).advice.plan
    assert quick is not None and (quick.offer.name, quick.replicas) == ("load 1", 10)
    first = (await asked.one(peak=30, latency=0.2, of="first_token")).advice.plan
    assert first is not None and first.offer.latency == 200
    assert (await asked.one(peak=30, latency=0.1)).advice.plan is None


async def test_without_a_measurement_one_replica_is_taken_to_do(asked: Asked) -> None:
    answer = await asked.one()
    assert answer.advice.plan is not None and answer.advice.plan.replicas == 1
    assert "not measured" in answer.remarks[0]


async def test_what_is_said_counts(asked: Asked) -> None:
    answer = await asked.one(
        peak=100, throughput=10, price_per_hour=2 * DOLLAR, price=DOLLAR // 2, tokens_per_day=10**6
    )
    plan = answer.advice.plan
    assert plan is not None and (plan.replicas, plan.cost) == (10, 480 * DOLLAR)
    assert answer.advice.break_even == 960_000 and answer.advice.verdict == "dedicated"
    assert [day.tokens for day in answer.days] == [10**6] and answer.busiest is None
    assert (await asked.one(tokens_per_day=DAY + 1)).peak == 2
    # What tokens did cost is what they will.
    assert (await asked.one(tokens_per_day=2000)).advice.shared == 2 * DOLLAR


async def test_the_example_of_the_announcement(asked: Asked) -> None:
    [answer] = await asked.all("org-3", price=2_000_000, price_per_hour=37_500_000_000)
    assert answer.snapshot == "" and answer.advice.break_even == 450_000_000
    assert answer.advice.verdict == "shared"


async def test_without_a_price_there_is_nothing_to_compare(asked: Asked) -> None:
    answer = await asked.one(model=OTHER)
    assert answer.advice.plan is None and "price" in answer.remarks[0]
    with pytest.raises(InvalidRequest) as refusal:
        await asked.all("org-3", tokens_per_day=5)
    assert refusal.value.param == "price_per_1k_tokens"


async def test_there_is_only_so_much_room(asked: Asked, store: DatabaseStore) -> None:
    there = {"here": Capacity(cpus=5000, memory=2**40)}
    await store.run(partial(machines.tell, server="here", machines=there, now=NOW))
    answer = await asked.one(throughput=10, peak=30)
    # Two of the five processors are everybody's: one for each engine of the model.
    assert {offer.most for offer in answer.offers} == {3} and answer.advice.plan is not None
    assert (await asked.one(throughput=10, peak=31)).advice.plan is None
    await store.run(sold)
    answer = await asked.one(throughput=10, peak=30)
    assert {offer.most for offer in answer.offers} == {3}, "what it has already it may keep"
    assert "own" in answer.remarks[0]


def sold(connection: Connection) -> None:
    row = {
        "id": "dedicated_1", "organization_id": "org-1", "name": "mine", "snapshot": CHAT, "engine": "llama",
        "context": 99, "load": 2, "replicas": 2, "spill_over": True, "cpus": 1000, "memory": 0, "gpus": 0,
        "begins_at": 0, "ends_at": None, "created_at": 0, "server": "here", "ordered": b"",
    }  # fmt: skip
    connection.execute(insert(dedicated_instance).values(row))


async def test_an_alias_is_what_it_means(asked: Asked) -> None:
    assert (await asked.one(model="gpt-3.5-turbo")).snapshot == CHAT


@pytest.mark.parametrize("model", ["nothing", SPEECH])
async def test_what_is_no_chat_model_is_refused(asked: Asked, model: str) -> None:
    with pytest.raises(InvalidRequest, match="no chat model"):
        await asked.one(model=model)


async def test_what_is_served_elsewhere_keeps_nobody_from_advice(
    asked: Asked, store: DatabaseStore, catalogue: Catalogue
) -> None:
    source = UpstreamSource(url="http://10.0.0.1/v1")
    far = msgspec.structs.replace(catalogue.entries[OTHER], source=source, files=(), template=None)
    catalogue.entries[OTHER] = far  # type: ignore[index]
    there = {"here": Capacity(cpus=5000, memory=2**40)}
    await store.run(partial(machines.tell, server="here", machines=there, now=NOW))
    answers = {answer.snapshot: answer for answer in await asked.all()}
    assert set(answers) == {CHAT, OTHER} and answers[CHAT].offers
    assert answers[OTHER].offers == [] and "served elsewhere" in answers[OTHER].remarks[0]
