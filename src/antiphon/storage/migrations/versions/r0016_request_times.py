"""What a request was asked as, where, and when it went on; and its organization's newest requests at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    for name in ("model", "endpoint"):
        op.add_column("request", sa.Column(name, sa.Text))
    for name in ("queued_ms", "engine_ms", "first_ms", "ended_ms"):
        op.add_column("request", sa.Column(name, sa.BigInteger))
    op.create_index("ix_request_organization", "request", ["organization_id", "created_at"])
