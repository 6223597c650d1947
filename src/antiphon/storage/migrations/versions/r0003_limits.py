"""Rate limits, budgets, credits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "rate_limit",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.Column("requests_per_minute", sa.BigInteger, nullable=True),
        sa.Column("tokens_per_minute", sa.BigInteger, nullable=True),
        sa.Column("audio_seconds_per_minute", sa.BigInteger, nullable=True),
        sa.Column("audio_megabytes_per_minute", sa.BigInteger, nullable=True),
        sa.Column("requests_per_day", sa.BigInteger, nullable=True),
        sa.Column("tokens_per_day", sa.BigInteger, nullable=True),
        sa.Column("concurrent_requests", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "snapshot", name="pk_rate_limit"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_rate_limit_project_id"),
    )
    op.create_table(
        "spend_limit",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("cents", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("scope", name="pk_spend_limit"),
    )
    op.create_table(
        "credit",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_credit"),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name="fk_credit_organization_id"),
    )
    op.create_index("ix_credit_organization_id", "credit", ["organization_id"])
