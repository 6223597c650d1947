"""Instances of an organization's own: what was sold, when it was ready, and what it costs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "machine",
        sa.Column("server", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        *_counts("cpus", "memory", "gpus", "seen_at"),
        sa.PrimaryKeyConstraint("server", "name", name="pk_machine"),
    )
    op.create_table(
        "dedicated_instance",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        *_counts("context", "load", "replicas"),
        sa.Column("spill_over", sa.Boolean, nullable=False),
        *_counts("cpus", "memory", "gpus", "begins_at"),
        sa.Column("ends_at", sa.BigInteger),
        *_counts("created_at"),
        sa.Column("server", sa.Text, nullable=False),
        sa.Column("ordered", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dedicated_instance"),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name="fk_dedicated_instance_organization_id",
        ),
    )
    op.create_index("ix_dedicated_instance_organization_id", "dedicated_instance", ["organization_id"])
    op.create_table(
        "dedicated_rate",
        sa.Column("instance_id", sa.Text, nullable=False),
        *_counts("begins_at", "replicas", "price"),
        sa.PrimaryKeyConstraint("instance_id", "begins_at", name="pk_dedicated_rate"),
        _of_instance("dedicated_rate"),
    )
    op.create_table(
        "dedicated_ready",
        sa.Column("instance_id", sa.Text, nullable=False),
        *_counts("replica", "begins_at", "ends_at"),
        sa.PrimaryKeyConstraint("instance_id", "replica", "begins_at", name="pk_dedicated_ready"),
        _of_instance("dedicated_ready"),
    )
    op.create_table(
        "time_charge",
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("id", "instance_id", "organization_id", "snapshot", "period")
        ),
        sa.Column("prepaid", sa.Boolean, nullable=False),
        *_counts("begins_at", "ends_at", "charged", "credited", "posted_at"),
        sa.PrimaryKeyConstraint("id", name="pk_time_charge"),
        sa.UniqueConstraint("instance_id", "begins_at", name="uq_time_charge_instance_id_begins_at"),
        _of_instance("time_charge"),
    )
    op.create_index("ix_time_charge_organization", "time_charge", ["organization_id", "begins_at"])


def _counts(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def _of_instance(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_instance_id"
    return sa.ForeignKeyConstraint(["instance_id"], ["dedicated_instance.id"], name=name)
