"""What instances carried at each load when they were measured."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "dedicated_measurement",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("measured_at", sa.BigInteger, nullable=False),
        sa.Column("levels", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dedicated_measurement"),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name="fk_dedicated_measurement_organization_id",
        ),
    )
    op.create_index("ix_dedicated_measurement_snapshot", "dedicated_measurement", ["snapshot"])
