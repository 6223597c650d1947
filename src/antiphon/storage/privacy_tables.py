"""For how long content is kept, and who agreed that it is trained on."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Table, Text

from antiphon.storage.metadata import metadata

# Where there is no row for a project, its organization's holds; where there is none for that, the default.
data_retention = Table(
    "data_retention",
    metadata,
    Column("scope", Text, primary_key=True),  # the id of an organization or a project
    Column("type", Text, nullable=False),  # as OpenAI names it: zero_data_retention, none, …
    Column("days", BigInteger, nullable=False),  # for which content is kept; 0: it is never written
    Column("stores", Boolean, nullable=False),  # whether `store` is honoured
    Column("updated_at", BigInteger, nullable=False),
)

# Append-only: whether content of an organization may be trained on, from a moment on.
training_consent = Table(
    "training_consent",
    metadata,
    Column("id", Text, primary_key=True),  # consent_…
    Column("organization_id", ForeignKey("organization.id"), nullable=False),
    Column("opted_in", Boolean, nullable=False),
    Column("decided_at", BigInteger, nullable=False),  # in microseconds, each later than the one before
    Column("text_version", Text, nullable=False),  # of the text that was agreed to, or that is revoked
    Column("text_sha256", Text, nullable=False),
    Column("given_by", Text, nullable=False),  # who decided, in words; may be empty where there is a key
    Column("actor_key_id", Text),  # none: the operator, at the command line
    Column("actor_member_id", Text),
    Index("ix_training_consent_organization", "organization_id", "decided_at", unique=True),
)
