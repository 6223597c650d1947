"""From the proof of who somebody is to a session in one of the organizations that this opens.

A password proves the memberships that it belongs to, a provider of identity those of the address it vouches
for. What was proven stays in the browser, signed: for some minutes, until an organization is chosen, and then
beside the session, without which it is worth nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Select, func, select

from antiphon.access.people import Person
from antiphon.access.sessions import Sessions
from antiphon.errors import Unauthenticated
from antiphon.storage.database import Database
from antiphon.storage.tables import member, member_sign_in, organization
from antiphon.values import Caller

CHOOSING_SECONDS = 600
"""For people to choose an organization after they have proved who they are."""
MOST = 40
"""Memberships that one proof opens: what is known of them has to fit into a cookie."""
How = Literal["password", "oidc"]


class Proven(msgspec.Struct, frozen=True, array_like=True):
    """The memberships that somebody may enter, by which proof, and when that was (unix seconds)."""

    members: tuple[str, ...]
    how: How
    at: int


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A membership that may be entered."""

    member_id: str
    organization: str
    role: str


class Entering:
    """`pepper` as `load_pepper` gives it; `clock` in unix seconds."""

    def __init__(
        self, database: Database, pepper: bytes, sessions: Sessions, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._pepper = pepper
        self._sessions = sessions
        self._clock = clock

    def proven(self, people: Sequence[Person], how: How) -> Proven:
        return Proven(tuple(one.member_id for one in people[:MOST]), how, int(self._clock()))

    async def choices(self, proven: Proven) -> list[Choice]:
        """Those of the memberships that the proof still opens, by the names of their organizations."""
        query = _open(proven).order_by(organization.c.name, member.c.id)
        async with self._database.connect() as connection:
            return [Choice(**row._mapping) for row in await connection.execute(query)]

    async def enter(self, proven: Proven, member_id: str, *, leaving: Caller | None = None) -> str:
        """The secret of a new session of this member; the session that is `leaving` ends.

        Raises `Unauthenticated` where the proof does not open that: the member was removed, or has had
        another password since.
        """
        async with self._database.begin() as connection:
            query = _open(proven).where(member.c.id == member_id)
            if (await connection.execute(query)).one_or_none() is None:
                raise Unauthenticated("Sign in to this organization anew.")
            secret = await self._sessions.insert(connection, member_id, proven.how)
            if leaving is not None:
                await self._sessions.end_in(connection, leaving)
            return secret

    async def renewed(self, proven: Proven, member_id: str) -> Proven:
        """The proof after this member has set a new password: what it still opens, and that membership."""
        now = int(self._clock())
        opened = {one.member_id for one in await self.choices(proven)} | {member_id}
        return Proven(tuple(id for id in proven.members if id in opened), proven.how, now)

    # --- what the browser keeps ----------------------------------------------------------------------------

    def sealed(self, proven: Proven, session: str = "") -> str:
        """The proof for a browser, bound to the secret of its session if there is one already."""
        content = msgspec.json.encode(proven)
        return urlsafe_b64encode(self._seal(content, session) + content).decode().rstrip("=")

    def unsealed(self, kept: str, session: str = "") -> Proven | None:
        """The proof that a browser has kept; None if it is none, or of another session, or too old."""
        try:
            content = urlsafe_b64decode(kept.encode() + b"=" * (-len(kept) % 4))
            seal, said = content[:32], content[32:]
            right = hmac.compare_digest(seal, self._seal(said, session))
            proven = msgspec.json.decode(said, type=Proven) if right else None
        except (ValueError, msgspec.MsgspecError):
            return None
        late = not session and proven is not None and proven.at + CHOOSING_SECONDS <= self._clock()
        return None if late else proven

    def _seal(self, content: bytes, session: str) -> bytes:
        said = b"\0".join([b"proven", session.encode(), content])
        return hmac.digest(self._pepper, said, hashlib.sha256)


def _open(proven: Proven) -> Select[Any]:
    """The memberships that a proof opens, as `Choice`."""
    unchanged: ColumnElement[bool] = func.coalesce(member_sign_in.c.changed_at, 0) <= proven.at
    return (
        select(member.c.id.label("member_id"), organization.c.name.label("organization"), member.c.role)
        .join(organization, organization.c.id == member.c.organization_id)
        .outerjoin(member_sign_in, member_sign_in.c.member_id == member.c.id)
        .where(member.c.id.in_(proven.members), member.c.removed_at.is_(None), unchanged)
    )
