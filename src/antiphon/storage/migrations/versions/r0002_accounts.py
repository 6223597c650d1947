"""Members, service accounts, three kinds of keys that can be rotated, the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("organization") as organization:
        organization.add_column(sa.Column("prepaid", sa.Boolean, nullable=False, server_default=sa.false()))
    with op.batch_alter_table("organization") as organization:
        organization.alter_column("prepaid", server_default=None)
    with op.batch_alter_table("project") as project:
        project.add_column(sa.Column("archived_at", sa.BigInteger))
    op.create_table(
        "member",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
        sa.Column("removed_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_member"),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name="fk_member_organization_id"),
        sa.UniqueConstraint("organization_id", "email", name="uq_member_organization_id_email"),
    )
    op.create_table(
        "service_account",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_service_account"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_service_account_project_id"),
    )
    op.create_index("ix_service_account_project_id", "service_account", ["project_id"])
    _keys()
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("effective_at", sa.BigInteger, nullable=False),
        sa.Column("project_id", sa.Text, nullable=True),
        sa.Column("actor_key_id", sa.Text, nullable=True),
        sa.Column("payload", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name="fk_audit_log_organization_id"
        ),
    )
    op.create_index("ix_audit_log_organization", "audit_log", ["organization_id", "id"])


def _keys() -> None:
    """The digest moves to a table of its own; every key so far was a project's."""
    op.create_table(
        "api_key_secret",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("rotation", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("digest", name="pk_api_key_secret"),
        sa.ForeignKeyConstraint(["key_id"], ["api_key.id"], name="fk_api_key_secret_key_id"),
        sa.UniqueConstraint("key_id", "rotation", name="uq_api_key_secret_key_id_rotation"),
    )
    op.create_index("ix_api_key_secret_key_id", "api_key_secret", ["key_id"])
    op.execute(
        "INSERT INTO api_key_secret (digest, key_id, rotation, created_at) "
        "SELECT digest, id, digest, created_at FROM api_key"
    )
    with op.batch_alter_table("api_key") as api_key:
        api_key.drop_constraint("uq_api_key_digest", type_="unique")
        api_key.drop_column("digest")
        api_key.alter_column("project_id", existing_type=sa.Text, nullable=True)
        api_key.add_column(sa.Column("kind", sa.Text, nullable=False, server_default="project"))
        api_key.add_column(sa.Column("scopes", sa.Text, nullable=False, server_default="chat audio models"))
        api_key.add_column(sa.Column("role", sa.Text))
        for column, table in (
            ("organization_id", "organization"),
            ("member_id", "member"),
            ("service_account_id", "service_account"),
        ):
            api_key.add_column(sa.Column(column, sa.Text))
            api_key.create_foreign_key(f"fk_api_key_{column}", table, [column], ["id"])
    op.execute(
        "UPDATE api_key SET organization_id = "
        "(SELECT organization_id FROM project WHERE project.id = api_key.project_id)"
    )
    with op.batch_alter_table("api_key") as api_key:
        api_key.alter_column("kind", server_default=None)
        api_key.alter_column("scopes", server_default=None)
        api_key.create_index("ix_api_key_organization_id", ["organization_id"])
        api_key.create_index("ix_api_key_project_id", ["project_id"])
