"""What instances were measured to carry, kept for whoever asks whether one would pay."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, insert, select

from antiphon.ledger.levels import Level
from antiphon.storage.tables import dedicated_measurement


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One sweep over the loads of an instance, with the requests of its organization."""

    id: str
    organization_id: str
    snapshot: str
    engine: str
    measured_at: int
    levels: tuple[Level, ...]


def save(connection: Connection, measurement: Measurement) -> None:
    """Keep one; none is ever changed."""
    values = msgspec.structs.asdict(measurement)
    levels = msgspec.json.encode(measurement.levels).decode()
    connection.execute(insert(dedicated_measurement).values(values | {"levels": levels}))


def latest(connection: Connection, organization_id: str, snapshot: str) -> Measurement | None:
    """The newest of a snapshot: the organization's own, or else another's; None if there is none."""
    columns = dedicated_measurement.c
    own = (columns.organization_id == organization_id).desc()
    query = select(dedicated_measurement).where(columns.snapshot == snapshot)
    newest = query.order_by(own, columns.measured_at.desc(), columns.id.desc()).limit(1)
    row = connection.execute(newest).mappings().one_or_none()
    if row is None:
        return None
    levels = msgspec.json.decode(row["levels"], type=tuple[Level, ...])
    return Measurement(**{**row, "levels": levels})
