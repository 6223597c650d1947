"""People who sign in to the console: with a password, by a link that works once, or by an address that others
vouch for.

A password belongs to a membership and not to an address: whoever invites somebody's address into an
organization of theirs gets nothing of that person's elsewhere.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.access import tenancy, tokens
from antiphon.access.members import Members
from antiphon.access.passwords import Passwords
from antiphon.access.sessions import Sessions
from antiphon.errors import Forbidden, InvalidRequest, RateLimited, Unauthenticated
from antiphon.storage import audit
from antiphon.storage.database import Database
from antiphon.storage.tables import member, member_sign_in, organization, sign_in_link
from antiphon.values import Caller, Role

LINK_SECONDS = 900
MEMBERSHIPS = 8
"""Of one address, whose passwords are tried."""
TRIES, TRY_SECONDS, TRIED = 10, 900.0, 10_000
"""So many wrong passwords for an address in this time; so many addresses are remembered."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A member as the console lists one. `signs_in`: whether there is a password."""

    member_id: str
    organization_id: str
    organization: str
    email: str
    name: str
    role: Role
    operator: bool
    signs_in: bool


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What a link is for: a member's password, or with none of them a first owner."""

    organization_id: str
    organization: str
    member_id: str | None
    email: str | None
    name: str | None


class People:
    """`pepper` as `load_pepper` gives it; `clock` in unix seconds. `by` as in `Members`."""

    def __init__(
        self,
        database: Database,
        pepper: bytes,
        members: Members,
        sessions: Sessions,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._pepper = pepper
        self._members = members
        self._sessions = sessions
        self._clock = clock
        self._record = audit.Recorder(clock)
        self._passwords = Passwords()
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    async def list(self, organization_id: str | None = None) -> list[Person]:
        """The members of an organization, or of all, the oldest first."""
        query = _people().order_by(member.c.added_at, member.c.id)
        if organization_id is not None:
            query = query.where(member.c.organization_id == organization_id)
        async with self._database.connect() as connection:
            return [_person(row) for row in await connection.execute(query)]

    async def anybody(self) -> bool:
        """Whether anybody can sign in with a password."""
        query = select(func.count()).select_from(member_sign_in).where(member_sign_in.c.password.is_not(None))
        async with self._database.connect() as connection:
            return bool(await connection.scalar(query))

    # --- links ---------------------------------------------------------------------------------------------

    async def link(
        self,
        organization_id: str,
        member_id: str | None,
        *,
        by: Caller | None,
        seconds: int = LINK_SECONDS,
    ) -> str:
        """The secret of a link that sets this member's password, once; without one, that of a new owner.

        Links that the member had end. Raises `NotFound` for a member who is not the organization's, and
        `Forbidden` for one who may more than `by`.
        """
        now, secret = int(self._clock()), secrets.token_urlsafe(32)
        async with self._database.begin() as connection:
            await tenancy.lock_organization(connection, organization_id)
            if member_id is not None:
                await self._require_within(connection, organization_id, member_id, by)
            same = sign_in_link.c.organization_id == organization_id
            same &= sign_in_link.c.member_id.is_not_distinct_from(member_id)
            await connection.execute(delete(sign_in_link).where(same))
            row = {
                "digest": tokens.digest(self._pepper, secret),
                "organization_id": organization_id,
                "member_id": member_id,
                "made_at": now,
                "expires_at": now + seconds,
            }
            await connection.execute(insert(sign_in_link).values(row))
            payload = {"id": member_id, "changes_requested": {"sign_in_link": True}}
            await self._record(connection, "user.updated", payload, organization_id, by)
        return secret

    async def _require_within(
        self, connection: AsyncConnection, organization_id: str, member_id: str, by: Caller | None
    ) -> None:
        query = _people().where(member.c.id == member_id, member.c.organization_id == organization_id)
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise tenancy.missing("user")
        if row.operator and by is not None and not (by.operator or by.kind == "operator"):
            raise Forbidden("Only an operator can make a sign-in link for an operator.")

    async def opened(self, secret: str) -> Link:
        """What a link is for. Raises `Unauthenticated` for one that was used, has ended or never was."""
        async with self._database.connect() as connection:
            return await self._link(connection, secret)

    async def redeem(self, secret: str, password: str, *, email: str = "", name: str = "") -> str:
        """Set the password that a link is for, and sign in: the secret of the session.

        A first owner, who is an operator too, gives an address and a name. Raises `Unauthenticated` as
        `opened` does, and `InvalidRequest` for what cannot be a password, an address or a name.
        """
        found, stored = await self.opened(secret), await self._passwords.made(password)
        member_id = found.member_id or await self._first_owner(found, email, name)
        async with self._database.begin() as connection:
            await tenancy.lock_organization(connection, found.organization_id)
            await self._link(connection, secret)  # nobody else was faster
            used = update(sign_in_link).where(sign_in_link.c.digest == tokens.digest(self._pepper, secret))
            await connection.execute(used.values(used_at=int(self._clock())))
            values: dict[str, Any] = {"password": stored}
            await self._write(connection, member_id, values | ({} if found.member_id else {"operator": True}))
            await self._sessions.end_others(connection, member_id)
            return await self._sessions.insert(connection, member_id, "link")

    async def _first_owner(self, found: Link, email: str, name: str) -> str:
        async with self._database.connect() as connection:
            query = _people().where(
                member.c.organization_id == found.organization_id, member.c.email == email.lower()
            )
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            made = await self._members.add(found.organization_id, email, name, "owner", by=None)
            return made.id
        if row.role != "owner" or row.password is not None:
            raise InvalidRequest("There is a member with this address already.", param="email")
        return str(row.id)

    async def _link(self, connection: AsyncConnection, secret: str) -> Link:
        query = (
            select(sign_in_link, organization.c.name.label("organization"), member.c.email, member.c.name)
            .join(organization, organization.c.id == sign_in_link.c.organization_id)
            .outerjoin(member, member.c.id == sign_in_link.c.member_id)
            .where(
                sign_in_link.c.digest == tokens.digest(self._pepper, secret),
                sign_in_link.c.used_at.is_(None),
                sign_in_link.c.expires_at > int(self._clock()),
                member.c.removed_at.is_(None),
            )
        )
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise Unauthenticated("This sign-in link was used or has expired.")
        return Link(**{field: row._mapping[field] for field in Link.__struct_fields__})

    # --- passwords -----------------------------------------------------------------------------------------

    async def by_password(self, email: str, password: str) -> Sequence[Person]:
        """The memberships that have this address and this password, the oldest first: one at least.

        Raises `Unauthenticated` in the same words whatever was wrong, and `RateLimited` after too many tries.
        """
        email = email.strip().lower()
        self._check_tries(email)
        query = _people().where(member.c.email == email if email.isprintable() else member.c.id.is_(None))
        async with self._database.connect() as connection:
            rows = (await connection.execute(query.order_by(member.c.added_at).limit(MEMBERSHIPS))).all()
        fitting = [_person(row) for row in rows if await self._passwords.fits(row.password, password)]
        if not rows:
            await self._passwords.fits(None, password)
        if not fitting:
            self._note_wrong(email)
            raise Unauthenticated("This address and this password do not belong together.")
        self._wrong.pop(email, None)
        return fitting

    async def by_address(self, email: str) -> Sequence[Person]:
        """The memberships of an address that somebody trusted vouches for, the oldest first: one at least.

        Raises `Unauthenticated` where nobody has it.
        """
        query = _people().where(member.c.email == email.lower()).order_by(member.c.added_at, member.c.id)
        async with self._database.connect() as connection:
            found = [_person(row) for row in await connection.execute(query)]
        if not found:
            raise Unauthenticated("Nobody with this address is a member here. Ask an owner to add you.")
        return found

    async def change_password(self, caller: Caller, old: str, new: str) -> str:
        """Set a new password; all sessions of the person end: the secret of a new one.

        Raises `InvalidRequest` where the old one is another.
        """
        assert caller.member_id is not None, "only people have passwords"
        self._check_tries(caller.member_id)
        async with self._database.connect() as connection:
            query = _people().where(member.c.id == caller.member_id)
            row = (await connection.execute(query)).one()
        if row.password is not None and not await self._passwords.fits(row.password, old):
            self._note_wrong(caller.member_id)
            raise InvalidRequest("This is not your password.", param="old_password")
        stored = await self._passwords.made(new)
        async with self._database.begin() as connection:
            await tenancy.lock_organization(connection, caller.organization_id)
            await self._write(connection, caller.member_id, {"password": stored})
            await self._sessions.end_others(connection, caller.member_id)
            payload = {"id": caller.member_id, "changes_requested": {"password": True}}
            await self._record(connection, "user.updated", payload, caller.organization_id, caller)
            return await self._sessions.insert(connection, caller.member_id, "password")

    def _check_tries(self, email: str) -> None:
        since = self._clock() - TRY_SECONDS
        recent = [at for at in self._wrong.get(email, ()) if at > since]
        if len(recent) >= TRIES:
            raise RateLimited(
                "Too many wrong passwords. Wait a quarter of an hour, or ask for a sign-in link.",
                retry_after=TRY_SECONDS,
            )

    def _note_wrong(self, email: str) -> None:
        self._wrong.setdefault(email, []).append(self._clock())
        self._wrong[email] = self._wrong[email][-TRIES:]
        self._wrong.move_to_end(email)
        while len(self._wrong) > TRIED:
            self._wrong.popitem(last=False)

    # --- operators -----------------------------------------------------------------------------------------

    async def set_operator(self, member_id: str, operator: bool) -> None:
        """Whether this person runs the installation, too: for the command line alone."""
        async with self._database.begin() as connection:
            query = _people().where(member.c.id == member_id)
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise tenancy.missing("user")
            await self._write(connection, member_id, {"operator": operator})
            payload = {"id": member_id, "changes_requested": {"operator": operator}}
            await self._record(connection, "user.updated", payload, row.organization_id, None)

    async def _write(self, connection: AsyncConnection, member_id: str, values: dict[str, Any]) -> None:
        changed = values | {"changed_at": int(self._clock())}
        mine = member_sign_in.c.member_id == member_id
        if await connection.scalar(select(member_sign_in.c.member_id).where(mine)) is None:
            await connection.execute(
                insert(member_sign_in).values({"member_id": member_id, "operator": False} | changed)
            )
        else:
            await connection.execute(update(member_sign_in).where(mine).values(changed))


def _people() -> Select[Any]:
    return (
        select(
            member.c.id,
            member.c.organization_id,
            organization.c.name.label("organization"),
            member.c.email,
            member.c.name,
            member.c.role,
            func.coalesce(member_sign_in.c.operator, False).label("operator"),
            member_sign_in.c.password,
        )
        .join(organization, organization.c.id == member.c.organization_id)
        .outerjoin(member_sign_in, member_sign_in.c.member_id == member.c.id)
        .where(member.c.removed_at.is_(None))
    )


def _person(row: Any) -> Person:
    return Person(
        member_id=row.id,
        organization_id=row.organization_id,
        organization=row.organization,
        email=row.email,
        name=row.name,
        role=row.role,
        operator=bool(row.operator),
        signs_in=row.password is not None,
    )
