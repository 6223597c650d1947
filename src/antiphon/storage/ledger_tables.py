"""The tables of the ledger; `tables` has them, too."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from antiphon.storage.metadata import metadata

# One life of one gateway process. While it is open, what it has reserved counts.
epoch = Table(
    "epoch",
    metadata,
    Column("id", Text, primary_key=True),  # epoch_…
    Column("host", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("beat", BigInteger, nullable=False),  # grows while the process lives
    Column("posted", BigInteger, nullable=False),  # the last record of its journal that is in the database
    Column("closed_at", BigInteger),
)

# Append-only. What a snapshot cost: the id is a digest of the rest.
price = Table(
    "price",
    metadata,
    Column("id", Text, primary_key=True),  # price_…
    Column("snapshot", Text, nullable=False),
    Column("since", Text, nullable=False),  # YYYY-MM-DD
    Column("input", BigInteger, nullable=False),
    Column("cached_input", BigInteger, nullable=False),
    Column("output", BigInteger, nullable=False),
    Column("second", BigInteger, nullable=False),
)

# The log of requests. A row is written once when it is reserved and once when it ends.
request = Table(
    "request",
    metadata,
    Column("id", Text, primary_key=True),  # req_…
    Column("epoch", ForeignKey("epoch.id"), nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("member_id", Text),
    Column("task", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("price_id", ForeignKey("price.id"), nullable=False),
    Column("period", Text, nullable=False),  # the month it is billed in, YYYY-MM
    Column("prepaid", Boolean, nullable=False),  # whether it draws upon the credit of its organization too
    Column("created_at", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("status", Text, nullable=False),  # open, settled, voided, lost
    Column("ended_at", BigInteger),
    Column("reason", Text),  # why it was voided or lost, or settled before its answer was whole
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("seconds", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("model", Text),  # the name that was asked for
    Column("endpoint", Text),
    # Milliseconds since it had arrived: let in, the engine asked, its first piece there, its end.
    Column("queued_ms", BigInteger),
    Column("engine_ms", BigInteger),
    Column("first_ms", BigInteger),
    Column("ended_ms", BigInteger),
    Index("ix_request_project", "project_id", "created_at"),
    Index("ix_request_organization", "organization_id", "created_at"),
)
Index(
    "ix_request_open",
    request.c.epoch,
    sqlite_where=request.c.status == "open",
    postgresql_where=request.c.status == "open",
)

# Append-only, double entry: each row moves `amount` from the account `credit` to the account `debit`.
# `reserve` and its `release` move between `held/<project>` and `holds`; `charge` from `revenue/<snapshot>` to
# `charged/<project>`; `loss`, what arrived too late to be charged, from `revenue/<snapshot>` to `loss`;
# `credit` (request_id: the credit's id) from `credit/<organization>` to `cash`; `time` (a time_charge's)
# from `revenue/<snapshot>` to `charged/<organization>`, and its `refund` back.
entry = Table(
    "entry",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),  # reserve, release, charge, loss, credit, time, refund
    Column("debit", Text, nullable=False),
    Column("credit", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("posted_at", BigInteger, nullable=False),
)

# Append-only: what an instance costs for a time of at most an hour, and what is given back for its outages.
time_charge = Table(
    "time_charge",
    metadata,
    Column("id", Text, primary_key=True),  # time_…
    Column("instance_id", ForeignKey("dedicated_instance.id"), nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("period", Text, nullable=False),  # as of a request
    Column("prepaid", Boolean, nullable=False),
    Column("begins_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("charged", BigInteger, nullable=False),
    Column("credited", BigInteger, nullable=False),
    Column("posted_at", BigInteger, nullable=False),
    UniqueConstraint("instance_id", "begins_at"),
    Index("ix_time_charge_organization", "organization_id", "begins_at"),
)

# Sums of entries, kept as they are posted: debits less credits.
account = Table(
    "account",
    metadata,
    Column("name", Text, primary_key=True),
    Column("balance", BigInteger, nullable=False),
)

# What a scope has spent in a period, and what gateway processes hold of the rest.
# Scopes: an organization's or project's id with the month as period; `credit/<organization>` with none ("").
spending = Table(
    "spending",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    Column("charged", BigInteger, nullable=False),
    Column("leased", BigInteger, nullable=False),
    Column("wanted_at", BigInteger, nullable=False),  # when a process last found too little left
)

allowance = Table(
    "allowance",
    metadata,
    Column("epoch", ForeignKey("epoch.id"), primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    Column("amount", BigInteger, nullable=False),
)

# Usage by minute, hour and day (`width` in seconds): what usage and cost pages read.
usage_rollup = Table(
    "usage_rollup",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("width", BigInteger, primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("project_id", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("snapshot", Text, primary_key=True),
    Column("task", Text, nullable=False),
    Column("member_id", Text),
    Column("requests", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("seconds", BigInteger, nullable=False),
    Column("input_cost", BigInteger, nullable=False),
    Column("output_cost", BigInteger, nullable=False),
    Column("audio_cost", BigInteger, nullable=False),
)

# Idempotency keys of the last day.
idempotency = Table(
    "idempotency",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # of the project and the key sent
    Column("fingerprint", LargeBinary, nullable=False),  # of the request it came with
    Column("request_id", Text, nullable=False),
    Column("epoch", ForeignKey("epoch.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("ended", Boolean, nullable=False),
)
