"""Every table. A change here needs a migration; a test compares the two.

Times are whole seconds since 1970, UTC. Money is whole nano-dollars (10^-9 USD). Ids are text with a prefix
that names the kind. Columns that may be empty say so.
"""

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

from antiphon.storage.content_tables import (
    content,
    content_cut,
    content_erasure,
    content_key,
    content_key_end,
    content_receipt,
    content_receipt_item,
    job_lease,
)
from antiphon.storage.ledger_tables import (
    account,
    allowance,
    entry,
    epoch,
    idempotency,
    price,
    request,
    spending,
    time_charge,
    usage_rollup,
)
from antiphon.storage.metadata import metadata
from antiphon.storage.model_tables import alias_switch, notice, snapshot_ending
from antiphon.storage.moderation_tables import flag, moderation_threshold, organization_standing
from antiphon.storage.people_tables import member_sign_in, sign_in_link
from antiphon.storage.privacy_tables import data_retention, training_consent
from antiphon.storage.status_tables import (
    status_incident,
    status_mark,
    status_message,
    status_minute,
    status_note,
    status_probe,
    status_span,
)

__all__ = [
    "account",
    "alias_switch",
    "allowance",
    "api_key",
    "api_key_secret",
    "audit_head",
    "audit_log",
    "content",
    "content_erasure",
    "content_cut",
    "content_key",
    "content_key_end",
    "content_receipt",
    "content_receipt_item",
    "credit",
    "data_retention",
    "dedicated_instance",
    "dedicated_measurement",
    "dedicated_rate",
    "dedicated_ready",
    "entry",
    "epoch",
    "flag",
    "idempotency",
    "installation",
    "job_lease",
    "machine",
    "member",
    "member_sign_in",
    "metadata",
    "moderation_threshold",
    "notice",
    "organization",
    "organization_standing",
    "price",
    "project",
    "rate_limit",
    "request",
    "service_account",
    "sign_in_link",
    "snapshot_ending",
    "spend_limit",
    "spending",
    "status_incident",
    "status_mark",
    "status_message",
    "status_minute",
    "status_note",
    "status_probe",
    "status_span",
    "time_charge",
    "training_consent",
    "usage_rollup",
]


# --- dedicated instances ------------------------------------------------------------------------------------

# What there is where engines run: told by the process that runs them.
machine = Table(
    "machine",
    metadata,
    Column("server", Text, primary_key=True),  # which runs engines there
    Column("name", Text, primary_key=True),
    Column("cpus", BigInteger, nullable=False),  # thousandths of a processor
    Column("memory", BigInteger, nullable=False),  # bytes
    Column("gpus", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)

dedicated_instance = Table(
    "dedicated_instance",
    metadata,
    Column("id", Text, primary_key=True),  # dedicated_…
    Column("organization_id", ForeignKey("organization.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("engine", Text, nullable=False),
    Column("context", BigInteger, nullable=False),  # tokens; 0 for speech
    Column("load", BigInteger, nullable=False),  # requests that a replica serves together
    Column("replicas", BigInteger, nullable=False),
    Column("spill_over", Boolean, nullable=False),
    Column("cpus", BigInteger, nullable=False),  # of each replica, as in `machine`
    Column("memory", BigInteger, nullable=False),
    Column("gpus", BigInteger, nullable=False),
    Column("begins_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger),  # none: until it is deleted
    Column("created_at", BigInteger, nullable=False),
    Column("server", Text, nullable=False),  # which runs its engines
    Column("ordered", LargeBinary, nullable=False),  # digest of its order; empty: it has no key
)

# Append-only once it has begun: what an instance costs from a moment on.
dedicated_rate = Table(
    "dedicated_rate",
    metadata,
    Column("instance_id", ForeignKey("dedicated_instance.id"), primary_key=True),
    Column("begins_at", BigInteger, primary_key=True),
    Column("replicas", BigInteger, nullable=False),
    Column("price", BigInteger, nullable=False),  # an hour, for each replica
)

# When the engine of a replica was ready: `ends_at` grows while it is.
dedicated_ready = Table(
    "dedicated_ready",
    metadata,
    Column("instance_id", ForeignKey("dedicated_instance.id"), primary_key=True),
    Column("replica", BigInteger, primary_key=True, autoincrement=False),
    Column("begins_at", BigInteger, primary_key=True),
    Column("ends_at", BigInteger, nullable=False),
)

# Append-only: what instances of a snapshot carried at each load when they were measured.
dedicated_measurement = Table(
    "dedicated_measurement",
    metadata,
    Column("id", Text, primary_key=True),  # measurement_…
    Column(
        "organization_id", ForeignKey("organization.id"), nullable=False
    ),  # whose requests it was measured with
    Column("snapshot", Text, nullable=False, index=True),
    Column("engine", Text, nullable=False),
    Column("measured_at", BigInteger, nullable=False),
    Column("levels", Text, nullable=False),  # JSON
)

# --- who ----------------------------------------------------------------------------------------------------

organization = Table(
    "organization",
    metadata,
    Column("id", Text, primary_key=True),  # org-…
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("prepaid", Boolean, nullable=False),  # whether it may only spend what it was credited
)

project = Table(
    "project",
    metadata,
    Column("id", Text, primary_key=True),  # proj_…
    Column("organization_id", ForeignKey("organization.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
    UniqueConstraint("organization_id", "name"),
)

member = Table(
    "member",
    metadata,
    Column("id", Text, primary_key=True),  # user-…
    Column("organization_id", ForeignKey("organization.id"), nullable=False),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),  # owner, member, reader
    Column("added_at", BigInteger, nullable=False),
    Column("removed_at", BigInteger),
    UniqueConstraint("organization_id", "email"),
)

service_account = Table(
    "service_account",
    metadata,
    Column("id", Text, primary_key=True),  # svc_acct_…
    Column("project_id", ForeignKey("project.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),  # member, owner
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),  # key_…
    Column("kind", Text, nullable=False),  # project, admin, operator; session: a browser that signed in
    Column("organization_id", ForeignKey("organization.id"), index=True),  # none for an operator's
    Column("project_id", ForeignKey("project.id"), index=True),  # a project key's alone
    Column("member_id", ForeignKey("member.id")),
    Column("service_account_id", ForeignKey("service_account.id")),
    Column("role", Text),  # an admin key's alone
    Column("scopes", Text, nullable=False),  # separated by spaces
    Column("name", Text, nullable=False),
    Column("redacted", Text, nullable=False),  # of the newest secret
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),
)

# A key keeps its id when it is rotated: the old secret then counts until `expires_at`.
api_key_secret = Table(
    "api_key_secret",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # never the secret itself
    Column("key_id", ForeignKey("api_key.id"), nullable=False, index=True),
    Column("rotation", LargeBinary, nullable=False),  # which rotation made it: the same one makes it once
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    UniqueConstraint("key_id", "rotation"),
)

# Append-only, which triggers of the database see to: what was done, in chains of digests (ADR 0040).
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Text, primary_key=True),  # audit_log-…, in the order of time
    Column("organization_id", ForeignKey("organization.id")),  # none: an act of the whole installation
    Column("type", Text, nullable=False),  # api_key.created, project.archived, …
    Column("effective_at", BigInteger, nullable=False),
    Column("project_id", Text),
    Column("actor_key_id", Text),  # none: the operator, at the command line
    Column("payload", Text, nullable=False),  # JSON
    Column("chain", Text, nullable=False),  # the organization's id, or "installation"
    Column("sequence", BigInteger, nullable=False),  # from 1, without a gap
    Column("digest", LargeBinary, nullable=False),  # of this row and of the digest before
    UniqueConstraint("chain", "sequence"),
    Index("ix_audit_log_organization", "organization_id", "id"),
)

# Where each chain ends. Whoever writes a row holds the lock of this one.
audit_head = Table(
    "audit_head",
    metadata,
    Column("chain", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("seal", LargeBinary, nullable=False),  # HMAC of these three with the pepper
)

# --- limits -------------------------------------------------------------------------------------------------

# What a project may do with a snapshot; an empty column leaves the installation's setting.
rate_limit = Table(
    "rate_limit",
    metadata,
    Column("project_id", ForeignKey("project.id"), primary_key=True),
    Column("snapshot", Text, primary_key=True),
    Column("requests_per_minute", BigInteger),
    Column("tokens_per_minute", BigInteger),
    Column("audio_seconds_per_minute", BigInteger),
    Column("audio_megabytes_per_minute", BigInteger),
    Column("requests_per_day", BigInteger),
    Column("tokens_per_day", BigInteger),
    Column("concurrent_requests", BigInteger),
)

spend_limit = Table(
    "spend_limit",
    metadata,
    Column("scope", Text, primary_key=True),  # the id of an organization or a project
    Column("cents", BigInteger, nullable=False),  # a month
    Column("updated_at", BigInteger, nullable=False),
)

# Append-only: what an organization paid in advance, or was given back.
credit = Table(
    "credit",
    metadata,
    Column("id", Text, primary_key=True),  # credit_…
    Column("organization_id", ForeignKey("organization.id"), nullable=False, index=True),
    Column("amount", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# One row: what every process and machine of this installation must agree on.
installation = Table(
    "installation",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),  # 1
    Column("pepper_check", LargeBinary, nullable=False),
)
