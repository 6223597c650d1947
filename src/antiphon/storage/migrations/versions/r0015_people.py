"""What people sign in with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "member_sign_in",
        sa.Column("member_id", sa.Text, nullable=False),
        sa.Column("password", sa.Text),
        sa.Column("operator", sa.Boolean, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("member_id", name="pk_member_sign_in"),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name="fk_member_sign_in_member_id"),
    )
    op.create_table(
        "sign_in_link",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("member_id", sa.Text),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("digest", name="pk_sign_in_link"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name="fk_sign_in_link_organization_id"
        ),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name="fk_sign_in_link_member_id"),
    )
    op.create_index("ix_sign_in_link_member_id", "sign_in_link", ["member_id"])
