"""Moderation put together, over a real database: from a request to its flag, and to the webhook."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from antiphon.admission.gate import Gate
from antiphon.app.moderation import moderating, telling_of_flags
from antiphon.app.work import beside
from antiphon.inference.metrics import Metrics
from antiphon.moderation.thresholds import EVERYBODY
from antiphon.settings import Settings
from antiphon.storage.database import Database
from antiphon.values import Observation
from receiver import receiving
from tenants import World

ASKED = b'{"messages": [{"role": "user", "content": "I want to kill myself"}]}'


async def test_what_is_asked_becomes_a_flag_and_the_webhook_is_told(
    tmp_path: Path, database: Database
) -> None:
    world = World(database)
    caller = await world.caller(await world.realm())
    async with receiving() as receiver:
        settings = Settings(
            home=str(tmp_path), moderation_scorers="rules", webhook=f"{receiver.address}/hook"
        )
        async with moderating(settings, database, Gate(settings)) as moderation:
            [monitor] = moderation.observers
            assert monitor.wants(caller)
            await moderation.services.thresholds.set(EVERYBODY, "self-harm/intent", "alert", 0.9, by=None)
            work = moderation.work() | await telling_of_flags(settings, database)
            assert set(work) == {"scorers", "monitor", "anomalies", "alerts"}
            async with beside(work), asyncio.timeout(20):
                monitor.observe(
                    Observation(
                        request_id="req_1",
                        caller=caller,
                        kind="chat",
                        snapshot="chat-1",
                        asked=ASKED,
                        answered=b"",
                        whole=False,
                        began_at=time.time(),
                    )
                )
                await monitor.settled()
                while not receiver.messages:
                    await asyncio.sleep(0.05)
            moderation.figures(metrics := Metrics())
            assert b'antiphon_monitored_requests{outcome="scored"} 1.0' in metrics.text()
        [flag], _ = await moderation.services.moderating.flags(caller.organization_id)
        [told] = receiver.told(tmp_path)
    assert (flag.request_id, flag.category, flag.action) == ("req_1", "self-harm/intent", "alert")
    assert (told["data"]["flag"], told["data"]["request"]) == (flag.id, "req_1")
    assert "kill" not in str(told) + str(flag)


@pytest.mark.parametrize("chosen", [{"monitor": False}, {"moderation_scorers": ""}])
async def test_there_may_be_no_monitor(tmp_path: Path, database: Database, chosen: dict[str, object]) -> None:
    settings = Settings(home=str(tmp_path), **chosen)  # type: ignore[arg-type]
    async with moderating(settings, database, Gate(settings)) as moderation:
        assert moderation.observers == []
        for one in (work := moderation.work()).values():
            await one
        assert set(work) == {"scorers"}
