"""Tables of moderation: what was flagged, from which shares on, and how organizations stand. Never content.

Scores are thousandths. Everything else is as in `storage.tables`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from antiphon.storage.metadata import metadata

flag = Table(
    "flag",
    metadata,
    Column("id", Text, primary_key=True),  # flag_…, in the order of time
    Column("organization_id", ForeignKey("organization.id"), nullable=False),
    Column("project_id", Text),
    Column("key_id", Text),
    Column("request_id", Text),  # none: it is about no single request
    Column("snapshot", Text, nullable=False),
    Column("category", Text, nullable=False),  # of the finding that decided, or usage.…, or manual
    Column("score", BigInteger, nullable=False),
    Column("findings", Text, nullable=False),  # JSON: side, category, score and scorer of each
    Column("action", Text, nullable=False),  # note, alert, throttle, suspend
    Column("detail", Text, nullable=False),  # in words; never content
    Column("created_at", BigInteger, nullable=False),
    Column("appeal", Text),  # an owner's words
    Column("appealed_at", BigInteger),
    Column("appealed_by", Text),  # a key; none: the command line
    Column("outcome", Text),  # upheld, dismissed
    Column("answer", Text),  # the operator's words
    Column("resolved_at", BigInteger),
    Column("attempts", BigInteger, nullable=False),  # to tell the webhook
    Column("next_at", BigInteger),  # when it is told next; none: not any more, or not at all
    Column("told_at", BigInteger),
    Index("ix_flag_organization", "organization_id", "id"),
    Index("ix_flag_next", "next_at"),
)

# From which share on what follows; a row without a score says: never.
moderation_threshold = Table(
    "moderation_threshold",
    metadata,
    Column("scope", Text, primary_key=True),  # the id of an organization; * for all
    Column("category", Text, primary_key=True),
    Column("action", Text, primary_key=True),
    Column("score", BigInteger),
    Column("times", BigInteger, nullable=False),  # in a day
    Column("updated_at", BigInteger, nullable=False),
)

# What an organization may not do now. One without a row may do everything.
organization_standing = Table(
    "organization_standing",
    metadata,
    Column("organization_id", ForeignKey("organization.id"), primary_key=True),
    Column("suspended_at", BigInteger),
    Column("suspension_flag", Text),
    Column("reason", Text, nullable=False),  # of the suspension, in words
    Column("throttled_until", BigInteger),
    Column("throttle_divisor", BigInteger, nullable=False),  # what its rates are divided by
    Column("throttle_flag", Text),
)
