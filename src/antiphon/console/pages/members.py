"""Members of the organization: who may sign in, and how they get in; and keys that administrate it."""

from __future__ import annotations

from typing import Any, get_args

from antiphon.access.api_key import NewKey, Realm
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console.forms import Form
from antiphon.console.services import Pages, Services
from antiphon.console.shell import Shell
from antiphon.errors import InvalidRequest
from antiphon.values import Role

ROLES: tuple[Role, ...] = get_args(Role)
LINKS = {"hour": 3600, "day": 86_400, "days": 3 * 86_400}
"""For how many seconds a sign-in link may be asked to count."""
_LIMIT = 100
_DAY = 86_400


class MemberPages(Pages):
    def __init__(self, shell: Shell, services: Services) -> None:
        super().__init__(shell, services)
        self._access = services.access
        self._clock = services.clock

    def rows(self) -> list[Route]:
        act = self._shell.act
        return [
            self._shell.page("/members", self.page, "org.read", "The organization's people and admin keys."),
            act("/members/add", self.add, "org.write", "Add a member, and make a sign-in link."),
            act("/members/link", self.link, "org.write", "Make a member's sign-in link."),
            act("/members/role", self.change_role, "org.write", "Give a member another role."),
            act("/members/remove", self.remove, "org.write", "Remove a member."),
            act("/members/keys/create", self.create_key, "org.write", "Make an admin key."),
            act("/members/keys/rotate", self.rotate_key, "org.write", "Give an admin key a new secret."),
            act("/members/keys/revoke", self.revoke_key, "org.write", "Refuse an admin key from now on."),
        ]

    async def page(self, exchange: Exchange) -> None:
        await self._show(exchange)

    async def _show(self, exchange: Exchange, **made: Any) -> None:
        """`made`: what is shown this once."""
        caller = exchange.known_caller
        keys = await self._access.keys.list(Realm(caller.organization_id), limit=_LIMIT, order="desc")
        nothing = {"secret": "", "name": "", "link": "", "link_ends": None}
        await self._shell.show(
            exchange,
            "members.html",
            people=await self._access.people.list(caller.organization_id),
            roles=ROLES,
            keys=keys.data,
            more_keys=keys.has_more,
            now=self._clock(),
            address=self._shell.address(exchange),
            **(nothing | made),
        )

    async def add(self, exchange: Exchange, form: Form) -> None:
        caller, role = exchange.known_caller, form.choice("role", ROLES)
        made = await self._access.members.add(
            caller.organization_id, form.text("email"), form.text("name"), role, by=caller
        )
        await self._show_link(exchange, made.id, made.name, form)

    async def link(self, exchange: Exchange, form: Form) -> None:
        caller = exchange.known_caller
        found = await self._access.members.get(caller.organization_id, form.text("member"))
        await self._show_link(exchange, found.id, found.name, form)

    async def _show_link(self, exchange: Exchange, member_id: str, name: str, form: Form) -> None:
        caller = exchange.known_caller
        seconds = LINKS[form.choice("counts", tuple(LINKS))] if "counts" in form else LINKS["day"]
        token = await self._access.people.link(caller.organization_id, member_id, by=caller, seconds=seconds)
        link = f"{self._shell.address(exchange)}/sign-in/link?token={token}"
        await self._show(exchange, name=name, link=link, link_ends=self._clock() + seconds)

    async def change_role(self, exchange: Exchange, form: Form) -> None:
        caller = exchange.known_caller
        changed = await self._access.members.change_role(
            caller.organization_id, form.text("member"), form.choice("role", ROLES), by=caller
        )
        await self._shell.go(exchange, "/members", f"{changed.name} is {_article(changed.role)} now.")

    async def remove(self, exchange: Exchange, form: Form) -> None:
        caller, member_id = exchange.known_caller, form.text("member")
        if member_id == caller.member_id:
            raise InvalidRequest("You cannot remove yourself: another owner does that.", param="member")
        await self._access.members.remove(caller.organization_id, member_id, by=caller)
        said = "The member is removed: signed out everywhere, and their keys are refused."
        await self._shell.go(exchange, "/members", said)

    async def create_key(self, exchange: Exchange, form: Form) -> None:
        caller, days = exchange.known_caller, form.number("days")
        new = NewKey(
            realm=Realm(caller.organization_id),
            name=form.text("name"),
            role=form.choice("role", ROLES),
            member_id=caller.member_id,
            expires_in_seconds=None if days is None else days * _DAY,
        )
        key, secret = await self._access.keys.create(new, by=caller)
        await self._show(exchange, secret=secret, name=key.name)

    async def rotate_key(self, exchange: Exchange, form: Form) -> None:
        caller = exchange.known_caller
        realm = Realm(caller.organization_id)
        key, secret = await self._access.keys.rotate(realm, form.text("key"), by=caller)
        await self._show(exchange, secret=secret, name=key.name)

    async def revoke_key(self, exchange: Exchange, form: Form) -> None:
        caller = exchange.known_caller
        await self._access.keys.revoke(Realm(caller.organization_id), form.text("key"), by=caller)
        await self._shell.go(exchange, "/members", "The admin key is revoked: it is refused from now on.")


def _article(role: Role) -> str:
    return f"an {role}" if role == "owner" else f"a {role}"
