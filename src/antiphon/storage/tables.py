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

from antiphon.storage.metadata import metadata as metadata
from antiphon.storage.model_tables import alias_switch as alias_switch
from antiphon.storage.model_tables import notice as notice
from antiphon.storage.model_tables import snapshot_ending as snapshot_ending

# --- dedicated instances ------------------------------------------------------------------------------------

# What there is where engines run: told by the process that runs them.
machine = Table(
    "machine",
    metadata,
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
    Column("kind", Text, nullable=False),  # project, admin, operator
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

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Text, primary_key=True),  # audit_log-…, in the order of time
    Column("organization_id", ForeignKey("organization.id"), nullable=False),
    Column("type", Text, nullable=False),  # api_key.created, project.archived, …
    Column("effective_at", BigInteger, nullable=False),
    Column("project_id", Text),
    Column("actor_key_id", Text),  # none: the operator, at the command line
    Column("payload", Text, nullable=False),  # JSON
    Index("ix_audit_log_organization", "organization_id", "id"),
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

# --- the ledger ---------------------------------------------------------------------------------------------

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
    Column("reason", Text),  # why it was voided or lost
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("seconds", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Index("ix_request_project", "project_id", "created_at"),
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

# One row: what every process and machine of this installation must agree on.
installation = Table(
    "installation",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),  # 1
    Column("pepper_check", LargeBinary, nullable=False),
)
