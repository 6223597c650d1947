from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console_service import House, console_house


@pytest.fixture
async def house(tmp_path: Path, migrated_sqlite: Path) -> AsyncIterator[House]:
    async with console_house(tmp_path, migrated_sqlite) as opened:
        yield opened
