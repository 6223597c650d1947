"""`/v1/organization/users`: the members of an organization."""

from __future__ import annotations

from antiphon.access.members import Member, Members
from antiphon.api import query
from antiphon.api.admin.answers import list_page, read_body
from antiphon.api.exchange import JSON, Exchange
from antiphon.api.routes import Answer, Route
from antiphon.wire.admin.users import User, UserAccount, UserDeleted, UserList, UserListQuery, UserUpdate

_USERS = "/v1/organization/users"
_USER = _USERS + "/{user_id}"


class UsersApi:
    def __init__(self, members: Members) -> None:
        self._members = members

    def rows(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path=_USERS,
                needs="org.read",
                handler=self.list_users,
                summary="List the members of the organization; who was added first comes first.",
                query=UserListQuery,
                answers=(Answer(JSON, UserList),),
            ),
            Route(
                method="GET",
                path=_USER,
                needs="org.read",
                handler=self.retrieve_user,
                summary="Show one member.",
                answers=(Answer(JSON, User),),
            ),
            Route(
                method="POST",
                path=_USER,
                needs="org.write",
                handler=self.update_user,
                summary="Change a member's role.",
                body=UserUpdate,
                answers=(Answer(JSON, User),),
            ),
            Route(
                method="DELETE",
                path=_USER,
                needs="org.write",
                handler=self.delete_user,
                summary="Remove a member, and revoke the member's keys.",
                answers=(Answer(JSON, UserDeleted),),
            ),
        ]

    async def list_users(self, exchange: Exchange) -> None:
        wanted = query.read(exchange, UserListQuery)
        page = await self._members.list(
            exchange.known_caller.organization_id,
            after=wanted.after,
            limit=wanted.limit,
            emails=wanted.emails,
        )
        await exchange.answer_json(list_page(UserList, [_shown(m) for m in page.data], page.has_more))

    async def retrieve_user(self, exchange: Exchange) -> None:
        organization_id = exchange.known_caller.organization_id
        await exchange.answer_json(
            _shown(await self._members.get(organization_id, exchange.parameters["user_id"]))
        )

    async def update_user(self, exchange: Exchange) -> None:
        wanted, caller = await read_body(exchange, UserUpdate), exchange.known_caller
        user_id = exchange.parameters["user_id"]
        changed = await self._members.change_role(caller.organization_id, user_id, wanted.role, by=caller)
        await exchange.answer_json(_shown(changed))

    async def delete_user(self, exchange: Exchange) -> None:
        caller, user_id = exchange.known_caller, exchange.parameters["user_id"]
        await self._members.remove(caller.organization_id, user_id, by=caller)
        await exchange.answer_json(UserDeleted(id=user_id))


def _shown(member: Member) -> User:
    return User(
        id=member.id,
        email=member.email,
        name=member.name,
        role=member.role,
        added_at=member.added_at,
        created=member.added_at,
        user=UserAccount(id=member.id, email=member.email, name=member.name),
    )
