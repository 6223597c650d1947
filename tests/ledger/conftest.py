"""A house of ledgers, whose books must be in order after every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger_house import House


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    try:
        yield house
        assert house.findings() == []
    finally:
        house.engine.dispose()
