"""Flags, the thresholds that raise them, and how organizations stand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "flag",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text),
        sa.Column("key_id", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("score", sa.BigInteger, nullable=False),
        sa.Column("findings", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("appeal", sa.Text),
        sa.Column("appealed_at", sa.BigInteger),
        sa.Column("appealed_by", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("answer", sa.Text),
        sa.Column("resolved_at", sa.BigInteger),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("next_at", sa.BigInteger),
        sa.Column("told_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_flag"),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name="fk_flag_organization_id"),
    )
    op.create_index("ix_flag_organization", "flag", ["organization_id", "id"])
    op.create_index("ix_flag_next", "flag", ["next_at"])
    op.create_table(
        "moderation_threshold",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("score", sa.BigInteger),
        sa.Column("times", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("scope", "category", "action", name="pk_moderation_threshold"),
    )
    op.create_table(
        "organization_standing",
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("suspended_at", sa.BigInteger),
        sa.Column("suspension_flag", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("throttled_until", sa.BigInteger),
        sa.Column("throttle_divisor", sa.BigInteger, nullable=False),
        sa.Column("throttle_flag", sa.Text),
        sa.PrimaryKeyConstraint("organization_id", name="pk_organization_standing"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name="fk_organization_standing_organization_id"
        ),
    )
