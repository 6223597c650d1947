"""What is kept of requests, and the receipts of what was deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    _keys()
    _content()
    op.create_table(
        "content_receipt",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary),
        sa.Column("signature", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_content_receipt"),
    )
    op.create_table(
        "content_receipt_item",
        *_texts("receipt_id", "organization_id", "cause"),
        sa.Column("days", sa.BigInteger, nullable=False),
        *_texts("kind"),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(
            "receipt_id", "organization_id", "cause", "days", "kind", name="pk_content_receipt_item"
        ),
        sa.ForeignKeyConstraint(
            ["receipt_id"], ["content_receipt.id"], name="fk_content_receipt_item_receipt_id"
        ),
    )
    op.create_table(
        "job_lease",
        *_texts("job", "holder"),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("job", name="pk_job_lease"),
    )


def _keys() -> None:
    op.create_table(
        "content_key",
        *_texts("id", "organization_id", "day"),
        sa.Column("current", sa.Boolean),
        sa.PrimaryKeyConstraint("id", name="pk_content_key"),
        sa.UniqueConstraint(
            "organization_id", "day", "current", name="uq_content_key_organization_id_day_current"
        ),
    )
    op.create_index("ix_content_key_day", "content_key", ["day"])
    op.create_table(
        "content_key_end",
        *_texts("id"),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_content_key_end"),
    )


def _content() -> None:
    op.create_table(
        "content",
        *_texts("id", "request_id", "organization_id", "project_id", "key_id", "kind", "snapshot"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("days", sa.BigInteger, nullable=False),
        *_texts("cause", "sealed_with"),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("whole", sa.Boolean, nullable=False),
        sa.Column("stored", sa.Boolean, nullable=False),
        sa.Column("completion_id", sa.Text),
        sa.Column("metadata", sa.LargeBinary),
        sa.Column("recording", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_content"),
        sa.ForeignKeyConstraint(["sealed_with"], ["content_key.id"], name="fk_content_sealed_with"),
    )
    op.create_index("ix_content_expires_at", "content", ["expires_at"])
    op.create_index("ix_content_organization", "content", ["organization_id", "id"])
    op.create_index("ix_content_request_id", "content", ["request_id"])
    op.create_index("ix_content_completion_id", "content", ["completion_id"])
    op.create_index("ix_content_sealed_with", "content", ["sealed_with"])


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]
