"""What aliases mean from a moment on, and when snapshots end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "alias_switch",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("alias", sa.Text, nullable=False),
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("announced_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alias_switch"),
    )
    op.create_table(
        "snapshot_ending",
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.Column("deprecated", sa.Text, nullable=False),
        sa.Column("shutdown", sa.Text, nullable=False),
        sa.Column("replacement", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("snapshot", name="pk_snapshot_ending"),
    )
