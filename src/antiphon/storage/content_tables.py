"""What is kept of requests, and receipts of what was deleted; the keys are in a store of their own."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from antiphon.storage.metadata import metadata

# The name of a key. The key itself is in the store of keys, under the same id.
content_key = Table(
    "content_key",
    metadata,
    Column("id", Text, primary_key=True),  # ckey_…
    Column("organization_id", Text, nullable=False),
    Column("day", Text, nullable=False),  # YYYY-MM-DD (UTC): on it everything under the key expires
    Column("current", Boolean),  # none: nothing new is written under it, what is left is moved to another
    Column("retired_at", BigInteger),  # since when it is so, before its day
    UniqueConstraint("organization_id", "day", "current"),
    Index("ix_content_key_day", "day"),
)

# Keys that nothing is under any more, until they are gone from the store of keys.
content_key_end = Table(
    "content_key_end",
    metadata,
    Column("id", Text, primary_key=True),  # ckey_…
    Column("ended_at", BigInteger, nullable=False),
)

# When all was erased that was kept of an organization or a project, the last time.
content_erasure = Table(
    "content_erasure",
    metadata,
    Column("scope", Text, primary_key=True),  # the id of an organization or a project
    Column("erased_at", BigInteger, nullable=False),
)

# A request and its answer. Nothing in here but `payload` and `metadata`, which are encrypted, is content.
content = Table(
    "content",
    metadata,
    Column("id", Text, primary_key=True),  # cont_…, in the order of time
    Column("request_id", Text, nullable=False),  # req_…
    Column("organization_id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("days", BigInteger, nullable=False),  # the policy by which it is deleted
    Column("cause", Text, nullable=False),  # why it is deleted then: expired, shortened, erased, deleted
    Column("sealed_with", ForeignKey("content_key.id"), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("whole", Boolean, nullable=False),
    Column("stored", Boolean, nullable=False),  # whether it is a stored completion
    Column("completion_id", Text),  # of a stored completion, as its client knows it
    Column("metadata", LargeBinary),  # of a stored completion
    Column("recording", Text),  # what the recording is called where recordings are
    Index("ix_content_expires_at", "expires_at"),
    Index("ix_content_organization", "organization_id", "id"),
    Index("ix_content_request_id", "request_id"),
    Index("ix_content_completion_id", "completion_id"),
    Index("ix_content_sealed_with", "sealed_with"),
)

# What is to expire earlier, until all of it does: a policy became stricter, or all was erased.
content_cut = Table(
    "content_cut",
    metadata,
    Column("id", Text, primary_key=True),  # cut_…, in the order of time
    Column("organization_id", Text, nullable=False),
    Column("project_id", Text),  # none: all of them
    Column("but", Text, nullable=False),  # JSON: the ids of projects that are left alone
    Column("stored", Boolean, nullable=False),  # whether it is for stored completions, too
    Column("days", BigInteger, nullable=False),  # from the request on; -1: none, from `noted_at` on
    Column("cause", Text, nullable=False),  # as of `content`
    Column("noted_at", BigInteger, nullable=False),
    Column("last", Text, nullable=False),  # the newest row of `content` that it is for
    Column("after", Text, nullable=False),  # the last one that it was done for; empty: none yet
    Index("ix_content_cut_organization", "organization_id"),
)

# What was deleted: open while it is counted, then signed. No content, and nothing of one request.
content_receipt = Table(
    "content_receipt",
    metadata,
    Column("id", Text, primary_key=True),  # purge_…, in the order of time
    Column("began_at", BigInteger, nullable=False),
    Column("body", LargeBinary),  # JSON, as it was signed; none: it is open
    Column("signature", LargeBinary),
)

content_receipt_item = Table(
    "content_receipt_item",
    metadata,
    Column("receipt_id", ForeignKey("content_receipt.id"), primary_key=True),
    Column("organization_id", Text, primary_key=True),
    Column("cause", Text, primary_key=True),
    Column("days", BigInteger, primary_key=True, autoincrement=False),  # of the policy; -1: of no policy
    Column("kind", Text, primary_key=True),  # of request, or recording, or key
    Column("number", BigInteger, nullable=False),
)

# What one process does at a time, of all over this database.
job_lease = Table(
    "job_lease",
    metadata,
    Column("job", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", BigInteger, nullable=False),  # unix seconds
)

key_metadata = MetaData(naming_convention=metadata.naming_convention)
"""Of the store of keys."""

# The keys, in a database of their own.
sealing_key = Table(
    "sealing_key",
    key_metadata,
    Column("id", Text, primary_key=True),  # ckey_…
    Column("day", Text, nullable=False),  # as of `content_key`
    Column("secret", LargeBinary, nullable=False),  # 32 bytes
    Index("ix_sealing_key_day", "day"),
)
