"""Budgets that many requests race for, and requests that are sent again and again, on real databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.bill import AFFORDABLE, CENT, KINDS, WAYS, Kind, duplicates, elsewhere, race

from servers import PostgresDatabase


@pytest.mark.parametrize("kind", KINDS)
async def test_exactly_those_requests_succeed_that_the_budget_affords(
    tmp_path: Path, database_url: str, kind: Kind
) -> None:
    found = await race(tmp_path / "home", database_url, kind)
    assert (found["answered"], found["charged"]) == (AFFORDABLE, CENT)


@pytest.mark.parametrize("kind", KINDS)
async def test_two_gateways_share_a_budget(tmp_path: Path, postgresql: PostgresDatabase, kind: Kind) -> None:
    found = await race(tmp_path / "home", postgresql.url, kind, count=2)
    assert (found["answered"], found["charged"]) == (AFFORDABLE, CENT)


async def test_a_request_sent_four_times_is_charged_once(tmp_path: Path, database_url: str) -> None:
    found = await duplicates(tmp_path / "home", database_url, 400)
    assert found["charged"] == 100
    assert sum(found[way] for way in WAYS) == 400 and min(found[way] for way in WAYS) > 10


async def test_a_request_sent_to_two_gateways_is_charged_once(
    tmp_path: Path, postgresql: PostgresDatabase
) -> None:
    found = await elsewhere(tmp_path / "home", postgresql.url)
    assert found["charged"] == found["keys"]
