"""The audit log as chains of digests with sealed ends, which the database only lets grow."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any

import sqlalchemy as sa
from alembic import op

from antiphon.errors import ConfigurationError
from antiphon.storage.chain import INSTALLATION, START, digest, seal, started

revision = "0012"
down_revision = "0011"

_CHUNK = 1000
_ROWS = sa.table(
    "audit_log",
    *(sa.column(name) for name in ("id", "organization_id", "type", "effective_at", "project_id")),
    *(sa.column(name) for name in ("actor_key_id", "payload", "chain", "sequence", "digest")),
)
_HEADS = sa.table("audit_head", *(sa.column(name) for name in ("chain", "sequence", "digest", "seal")))


def upgrade() -> None:
    _check_pepper()
    op.create_table(
        "audit_head",
        sa.Column("chain", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("chain", name="pk_audit_head"),
    )
    with op.batch_alter_table("audit_log") as log:
        log.alter_column("organization_id", existing_type=sa.Text, nullable=True)
        log.add_column(sa.Column("chain", sa.Text))
        log.add_column(sa.Column("sequence", sa.BigInteger))
        log.add_column(sa.Column("digest", sa.LargeBinary))
    _chain_up()
    with op.batch_alter_table("audit_log") as log:
        log.alter_column("chain", existing_type=sa.Text, nullable=False)
        log.alter_column("sequence", existing_type=sa.BigInteger, nullable=False)
        log.alter_column("digest", existing_type=sa.LargeBinary, nullable=False)
        log.create_unique_constraint("uq_audit_log_chain_sequence", ["chain", "sequence"])
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)


def _pepper() -> bytes:
    return bytes(op.get_bind().get_execution_options().get("pepper", b""))


def _check_pepper() -> None:
    """See that what is sealed here can be proved with the pepper of the database's keys."""
    known = op.get_bind().scalar(sa.text("SELECT pepper_check FROM installation"))
    if known is not None and known != hmac.digest(_pepper(), b"installation", hashlib.sha256):
        raise ConfigurationError(
            "the pepper in the data folder is not the one that this database's keys were made with",
            fix="copy the file `pepper` from the data folder of the first machine",
        )


def _chain_up() -> None:
    """Put the rows that are there into chains, in their order, and seal the ends."""
    connection = op.get_bind()
    named = connection.scalars(sa.select(_ROWS.c.organization_id).distinct().order_by("organization_id"))
    chains = list(named)
    now = int(time.time())
    for chain in chains:
        rows = connection.execute(
            sa.select(_ROWS).where(_ROWS.c.organization_id == chain).order_by(_ROWS.c.id)
        )
        _seal(chain, *_digests(chain, [dict(row) for row in rows.mappings()]))
    begun = [started(chain, now) for chain in chains]
    sequence, last = 0, START
    for sequence, event in enumerate(begun, 1):
        row = event | {"chain": INSTALLATION, "sequence": sequence}
        last = digest(last, row)
        connection.execute(sa.insert(_ROWS).values(row | {"digest": last}))
    _seal(INSTALLATION, sequence, last)


def _digests(chain: str, rows: list[dict[str, Any]]) -> tuple[int, bytes]:
    """Write the place of each row; the number and digest of the last."""
    last = START
    places = []
    for sequence, row in enumerate(rows, 1):
        last = digest(last, row | {"chain": chain, "sequence": sequence})
        places.append({"b_id": row["id"], "b_chain": chain, "b_sequence": sequence, "b_digest": last})
    change = (
        sa.update(_ROWS)
        .where(_ROWS.c.id == sa.bindparam("b_id"))
        .values(
            chain=sa.bindparam("b_chain"),
            sequence=sa.bindparam("b_sequence", type_=sa.BigInteger),
            digest=sa.bindparam("b_digest", type_=sa.LargeBinary),
        )
    )
    for start in range(0, len(places), _CHUNK):
        op.get_bind().execute(change, places[start : start + _CHUNK])
    return len(rows), last


def _seal(chain: str, sequence: int, last: bytes) -> None:
    end = {"chain": chain, "sequence": sequence, "digest": last}
    op.get_bind().execute(sa.insert(_HEADS).values(end | {"seal": seal(_pepper(), chain, sequence, last)}))


_SQLITE = [
    f"CREATE TRIGGER {table}_{what.lower()} BEFORE {what} ON {table} {when}"
    "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    for table, what, when in (
        ("audit_log", "UPDATE", ""),
        ("audit_log", "DELETE", ""),
        ("audit_head", "UPDATE", "WHEN NEW.chain <> OLD.chain OR NEW.sequence <> OLD.sequence + 1 "),
        ("audit_head", "DELETE", ""),
    )
]
_POSTGRESQL = [
    "CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'integrity_constraint_violation'; "
    "END $$",
    *(
        f"CREATE TRIGGER {table}_{name} BEFORE {what} ON {table} {each} "
        "EXECUTE FUNCTION audit_log_is_append_only()"
        for table, name, what, each in (
            ("audit_log", "rows", "UPDATE OR DELETE", "FOR EACH ROW"),
            ("audit_log", "all", "TRUNCATE", "FOR EACH STATEMENT"),
            (
                "audit_head",
                "update",
                "UPDATE",
                "FOR EACH ROW WHEN (NEW.chain <> OLD.chain OR NEW.sequence <> OLD.sequence + 1)",
            ),
            ("audit_head", "delete", "DELETE", "FOR EACH ROW"),
            ("audit_head", "all", "TRUNCATE", "FOR EACH STATEMENT"),
        )
    ),
]
