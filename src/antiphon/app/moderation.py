"""Moderation, put together: what scores, what watches, what follows, and what goes on beside requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from antiphon.admission.gate import Gate
from antiphon.api.admin.table import Moderation
from antiphon.inference.metrics import Metrics
from antiphon.moderation.evidence import Evidence
from antiphon.moderation.monitor import Monitor
from antiphon.moderation.scorers import panel
from antiphon.moderation.thresholds import ThresholdStore
from antiphon.operations.alerting import Alerter
from antiphon.operations.anomalies import Anomalies
from antiphon.operations.moderating import Moderating
from antiphon.operations.webhook import Webhook, load_secret
from antiphon.settings import Settings
from antiphon.storage.database import Database

_DRAIN_SECONDS = 3.0
"""For what was seen, and not yet scored, at shutdown."""


class Moderated(msgspec.Struct, frozen=True):
    """Moderation at work: its services, and the monitor if there is to be one."""

    services: Moderation
    monitor: Monitor | None

    @property
    def observers(self) -> list[Monitor]:
        return [self.monitor] if self.monitor is not None else []

    def work(self) -> dict[str, Coroutine[Any, Any, None]]:
        """What goes on in each gateway process."""
        work: dict[str, Coroutine[Any, Any, None]] = {"scorers": self.services.panel.start()}
        return work if self.monitor is None else {**work, "monitor": self.monitor.run()}

    def figures(self, metrics: Metrics) -> None:
        """Show what the monitor has seen, and what it has not."""
        if self.monitor is not None:
            _measure(metrics, self.monitor)


@asynccontextmanager
async def moderating(
    settings: Settings, database: Database, gate: Gate, evidence: Evidence | None = None
) -> AsyncIterator[Moderated]:
    """For as long as the block runs. `evidence` finds what was flagged, as long as it is kept."""
    scorers = await asyncio.to_thread(panel, settings)
    acting = Moderating(database, time.time, evidence)
    monitor = None
    if settings.monitor and scorers.scorers:
        monitor = Monitor(
            scorers,
            acting.act,
            rate=settings.monitor_rate,
            queue=settings.monitor_queue,
            repeats=settings.anomaly_repeats,
        )
    try:
        services = Moderation(scorers, gate, acting, ThresholdStore(database, time.time))
        yield Moderated(services, monitor)
    finally:
        if monitor is not None:
            await monitor.drain(_DRAIN_SECONDS)
        await scorers.close()


async def telling_of_flags(settings: Settings, database: Database) -> dict[str, Coroutine[Any, Any, None]]:
    """What goes on once for each server: keys that are used as never before, and alerts."""
    work: dict[str, Coroutine[Any, Any, None]] = {}
    if settings.monitor:
        acting = Moderating(database, time.time)
        work["anomalies"] = Anomalies(database, acting.act, settings.anomaly_factor, time.time).run()
    if settings.webhook:
        secret = await asyncio.to_thread(load_secret, settings.home_path)
        work["alerts"] = Alerter(database, Webhook(settings.webhook, secret), time.time).run()
    return work


def _measure(metrics: Metrics, monitor: Monitor) -> None:
    text = (
        "Requests the monitor scored, had no room for, failed to score, or whose recording it could not read"
    )
    metrics.gauge("antiphon_monitored_requests", text, "outcome", lambda: dict(monitor.outcomes))
    metrics.gauge(
        "antiphon_monitor_waiting",
        "Requests that wait to be scored",
        "queue",
        lambda: {"monitor": monitor.waiting},
    )
