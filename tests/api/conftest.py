"""What tests of the API share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from admin_service import House, administrating


@pytest.fixture
async def house(tmp_path: Path, migrated_sqlite: Path) -> AsyncIterator[House]:
    """An organization, and the API that administrates it."""
    async with administrating(tmp_path, migrated_sqlite) as house:
        yield house
