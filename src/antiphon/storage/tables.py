"""Every table. A change here needs a migration; a test compares the two.

Times are whole seconds since 1970, UTC. Ids are text with a prefix that names the kind.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint

# Constraints with names can be changed by a later migration, on any database.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

organization = Table(
    "organization",
    metadata,
    Column("id", Text, primary_key=True),  # org-…
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", Integer, nullable=False),
)

project = Table(
    "project",
    metadata,
    Column("id", Text, primary_key=True),  # proj_…
    Column("organization_id", ForeignKey("organization.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    UniqueConstraint("organization_id", "name"),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),  # key_…
    Column("project_id", ForeignKey("project.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),  # never the key itself
    Column("redacted", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("expires_at", Integer),
    Column("revoked_at", Integer),
    Column("last_used_at", Integer),
)
