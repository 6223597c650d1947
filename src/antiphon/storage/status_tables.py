"""How well requests were answered, and what was told of it; `tables` has them, too."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Table, Text

from antiphon.storage.metadata import metadata

# What all processes of all machines counted: kept for days. The row `service` says that one of them lived.
status_minute = Table(
    "status_minute",
    metadata,
    Column("api", Text, primary_key=True),  # as `status.outcomes.Api`; service
    Column("start", BigInteger, primary_key=True),
    Column("good", BigInteger, nullable=False),
    Column("bad", BigInteger, nullable=False),
)

# Sums over minutes: of hours, kept for some months, and of days, kept for ever.
status_span = Table(
    "status_span",
    metadata,
    Column("width", BigInteger, primary_key=True),  # 3600 or 86400
    Column("start", BigInteger, primary_key=True),
    Column("api", Text, primary_key=True),
    Column("known", BigInteger, nullable=False),  # minutes that count
    Column("lost", BigInteger, nullable=False),  # millionths of minutes
    Column("down", BigInteger, nullable=False),  # minutes without any server, among those known
    Column("good", BigInteger, nullable=False),
    Column("bad", BigInteger, nullable=False),
)

# What is one for the whole installation: who does a job and until when, how far it has come.
status_mark = Table(
    "status_mark",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("said", Text, nullable=False),
)

# The last probe of each API.
status_probe = Table(
    "status_probe",
    metadata,
    Column("api", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("good", Boolean, nullable=False),
    Column("milliseconds", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),  # why it was not good
)

status_incident = Table(
    "status_incident",
    metadata,
    Column("id", Text, primary_key=True),  # incident_…, in the order in which they were opened
    Column("kind", Text, nullable=False),  # alert, manual, maintenance
    Column("api", Text, nullable=False),  # empty: all of them
    Column("severity", Text, nullable=False),  # outage, degraded, slow_burn; empty: not an alert's
    Column("title", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("begins_at", BigInteger, nullable=False),  # of maintenance: as announced
    Column("ends_at", BigInteger),
    Column("resolved_at", BigInteger),
    Column("going", Text, unique=True),  # while an alert goes on: of which API, so that it is one incident
    Index("ix_status_incident_resolved_at", "resolved_at"),
)

# Append-only: what is told of an incident.
status_note = Table(
    "status_note",
    metadata,
    Column("id", Text, primary_key=True),  # note_…, in their order
    Column("incident_id", ForeignKey("status_incident.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("event", Text, nullable=False),  # opened, noted, escalated, resolved
    Column("text", Text, nullable=False),
)

# What the operator's webhook is told of incidents, and was.
status_message = Table(
    "status_message",
    metadata,
    Column("id", Text, primary_key=True),  # msg_…, in their order
    Column("incident_id", ForeignKey("status_incident.id"), nullable=False),
    Column("event", Text, nullable=False),  # opened, escalated, resolved
    Column("created_at", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("next_at", BigInteger, index=True),  # the next try; none: it was told, or is given up
    Column("sent_at", BigInteger),
)
