"""The headers of a model that will end."""

from __future__ import annotations

from datetime import date
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from antiphon.api.lifecycle import headers
from antiphon.values import Snapshot
from service import CHAT, SPEECH, serving

FACTS: dict[str, Any] = {
    "id": "m",
    "task": "chat",
    "released": date(2024, 1, 1),
    "owned_by": "o",
    "licence": "MIT",
}


def test_a_model_without_a_last_day_says_nothing() -> None:
    assert headers(Snapshot(**FACTS)) == headers(Snapshot(**FACTS, deprecated=date(2026, 1, 1))) == {}


def test_one_that_ends_says_when() -> None:
    ending = Snapshot(**FACTS, deprecated=date(2026, 11, 27), shutdown=date(2027, 1, 1))
    assert headers(ending) == {"deprecation": "@1795737600", "sunset": "Fri, 01 Jan 2027 00:00:00 GMT"}
    assert headers(Snapshot(**FACTS, shutdown=date(2027, 1, 1)))["deprecation"] == "@1798761600"


@pytest.mark.parametrize("stream", [False, True])
async def test_answers_of_every_kind_carry_them(tmp_path: Path, stream: bool) -> None:
    models = {"snapshots": {name: {"shutdown": date(2999, 1, 1)} for name in (CHAT, SPEECH)}}
    async with serving(tmp_path, models=models) as service:
        found = [await service.chat(stream=stream), await service.complete(stream=stream)]
        for status, answered, _ in found:
            assert status == 200
            assert parsedate_to_datetime(answered["sunset"]).date() == date(2999, 1, 1)
            assert answered["deprecation"].startswith("@")
        status, refused, _ = await service.chat(stream=stream, temperature=9)
        assert status == 400 and "sunset" not in refused
