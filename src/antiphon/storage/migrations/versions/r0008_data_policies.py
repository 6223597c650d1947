"""For how long content is kept, and who agreed that it is trained on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "data_retention",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("days", sa.BigInteger, nullable=False),
        sa.Column("stores", sa.Boolean, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("scope", name="pk_data_retention"),
    )
    op.create_table(
        "training_consent",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("opted_in", sa.Boolean, nullable=False),
        sa.Column("decided_at", sa.BigInteger, nullable=False),
        sa.Column("text_version", sa.Text, nullable=False),
        sa.Column("text_sha256", sa.Text, nullable=False),
        sa.Column("given_by", sa.Text, nullable=False),
        sa.Column("actor_key_id", sa.Text),
        sa.Column("actor_member_id", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_training_consent"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name="fk_training_consent_organization_id"
        ),
    )
    op.create_index(
        "ix_training_consent_organization", "training_consent", ["organization_id", "decided_at"], unique=True
    )
