"""How people get into the console: what each member may sign in with, and links that work once."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, LargeBinary, Table, Text

from antiphon.storage.metadata import metadata

# Of a membership and not of an address: whoever invites somebody's address gets nothing of theirs elsewhere.
member_sign_in = Table(
    "member_sign_in",
    metadata,
    Column("member_id", ForeignKey("member.id"), primary_key=True),
    Column("password", Text),  # argon2id; none: not by a password
    Column("operator", Boolean, nullable=False),  # whether the person runs the installation, too
    Column("changed_at", BigInteger, nullable=False),
)

sign_in_link = Table(
    "sign_in_link",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # never the link itself
    Column("organization_id", ForeignKey("organization.id"), nullable=False),
    Column("member_id", ForeignKey("member.id"), index=True),  # none: whoever opens it becomes an owner
    Column("made_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)
