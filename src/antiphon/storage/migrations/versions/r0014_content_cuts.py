"""What of content is to expire earlier, until it is done."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "content_cut",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text),
        sa.Column("but", sa.Text, nullable=False),
        sa.Column("stored", sa.Boolean, nullable=False),
        sa.Column("days", sa.BigInteger, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("noted_at", sa.BigInteger, nullable=False),
        sa.Column("last", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_content_cut"),
    )
    op.create_index("ix_content_cut_organization", "content_cut", ["organization_id"])
