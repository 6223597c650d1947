"""When keys of content were retired, and when all of somebody's was erased."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("content_key", sa.Column("retired_at", sa.BigInteger))
    keys = sa.table("content_key", sa.column("current"), sa.column("retired_at"))
    op.execute(sa.update(keys).where(keys.c.current.is_(None)).values(retired_at=int(time.time())))
    op.create_table(
        "content_erasure",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("erased_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("scope", name="pk_content_erasure"),
    )
