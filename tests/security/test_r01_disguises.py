"""Every route that asks for a key, asked in every disguise that other servers have let through."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from admin_service import administrating
from bad_input.protocol_cases import DISGUISES
from service import KEY

_AT_ONCE = 16
_OPEN = b" 200 ", b" 201 ", b" 204 "


@pytest.mark.requirement("R1")
async def test_no_disguise_opens_any_route(tmp_path: Path, migrated_sqlite: Path) -> None:
    assert len(DISGUISES) >= 20
    async with administrating(tmp_path, migrated_sqlite) as house:
        _, _, document = await house.service.call("GET", "/openapi.json")
        locked = [
            (method.upper(), re.sub(r"\{\w+\}", "x", path))
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if operation.get("security") != []
        ]
        assert len(locked) > 60
        gate = asyncio.Semaphore(_AT_ONCE)

        async def passes(name: str, method: str, path: str) -> bool:
            sent = DISGUISES[name](method, path).replace(b"{key}", KEY.encode())
            async with gate, asyncio.timeout(30):
                reader, writer = await asyncio.open_connection("127.0.0.1", house.service.port)
                writer.write(sent)
                line = await reader.readline()
                writer.close()
            return any(code in line for code in _OPEN)

        tries = [(name, method, path) for name in DISGUISES for method, path in locked]
        found = await asyncio.gather(*(passes(*one) for one in tries))
    assert [one for one, open in zip(tries, found, strict=True) if open] == []
