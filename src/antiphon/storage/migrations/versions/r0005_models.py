"""What aliases mean from a moment on, when snapshots end, and what is told of that."""

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
    op.create_table(
        "notice",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("noted_by", sa.Text, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("next_at", sa.BigInteger),
        sa.Column("sent_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_notice"),
        sa.UniqueConstraint("key", name="uq_notice_key"),
    )
