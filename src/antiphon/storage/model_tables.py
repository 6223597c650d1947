"""What was changed of models while servers ran, and what is told of it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, Text

from antiphon.storage.metadata import metadata

alias_switch = Table(
    "alias_switch",
    metadata,
    Column("id", Text, primary_key=True),  # switch-…, in the order in which they were announced
    Column("alias", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("notes", Text, nullable=False),
    Column("announced_at", BigInteger, nullable=False),
)

snapshot_ending = Table(
    "snapshot_ending",
    metadata,
    Column("snapshot", Text, primary_key=True),
    Column("deprecated", Text, nullable=False),  # days, as 2026-11-27
    Column("shutdown", Text, nullable=False),
    Column("replacement", Text, nullable=False),
)

# What the operator's webhook is told, and was.
notice = Table(
    "notice",
    metadata,
    Column("id", Text, primary_key=True),  # msg_…, in the order in which they were noted
    Column("key", Text, nullable=False, unique=True),  # the same for the same thing, whoever notes it
    Column("at", BigInteger, nullable=False),  # when that happens which it tells of
    Column("about", Text, nullable=False),  # JSON
    Column("created_at", BigInteger, nullable=False),
    Column("noted_by", Text, nullable=False),  # whose catalogue says so: a machine and its data folder
    Column("attempts", BigInteger, nullable=False),
    Column("next_at", BigInteger),  # the next try; none: it is given up
    Column("sent_at", BigInteger),
)
