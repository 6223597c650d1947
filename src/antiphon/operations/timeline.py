"""What became of dedicated instances: when they were reserved, ready and away."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection

from antiphon.ledger import instances
from antiphon.ledger.duration import Outage, Span
from antiphon.storage.tables import dedicated_instance


class Timeline(msgspec.Struct, frozen=True):
    """Of one instance, all its replicas together. Moments are unix seconds."""

    instance_id: str
    reserved: Span
    ready: Sequence[Span]
    away: Sequence[Outage]
    """Outages, which are credited: up to now, and of the last minute not for good."""


def timelines(connection: Connection, organization_id: str, now: int) -> list[Timeline]:
    """Of every instance of an organization that was not called off before it began, the oldest first."""
    of = dedicated_instance.c.organization_id == organization_id
    return [
        Timeline(
            one.id,
            Span(one.begins_at, one.ends_at),
            [span for spans in instances.readiness(connection, one.id).values() for span in spans],
            instances.outages(connection, one, now),
        )
        for one in instances.agreements(connection, of)
        if one.ends_at is None or one.ends_at > one.begins_at
    ]
