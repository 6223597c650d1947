"""What others run: found, and never started or ended."""

from __future__ import annotations

import asyncio

import pytest

from antiphon.address import Address
from antiphon.errors import ConfigurationError
from antiphon.runtime.elsewhere import Elsewhere

HERE = Address(host="10.0.0.5", port=8000)


def never(address: Address) -> list[str]:
    raise AssertionError("nothing is started")


async def test_it_is_where_it_was_found_and_does_not_end() -> None:
    process = await Elsewhere(lambda: HERE).start("m", never)
    assert process.address == HERE and process.pid is None
    waiting = asyncio.create_task(process.wait())
    assert await process.stop(0.0) == 0
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


async def test_what_is_wrong_is_raised() -> None:
    def find() -> Address:
        raise ConfigurationError("no key")

    with pytest.raises(ConfigurationError, match="no key"):
        await Elsewhere(find).start("m", never)
