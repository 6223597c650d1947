"""Signing in and out, links that set a password, and one's own account."""

from __future__ import annotations

from urllib.parse import parse_qs

from antiphon.api.auth import require_own_site
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console.forms import Form, read
from antiphon.console.pages.organizations import OrganizationPages
from antiphon.console.services import Pages, Services
from antiphon.console.shell import Shell, own_path
from antiphon.errors import AntiphonError, Unauthenticated


class SignInPages(Pages):
    def __init__(self, shell: Shell, services: Services, organizations: OrganizationPages) -> None:
        super().__init__(shell, services)
        self._organizations = organizations
        self._people = services.access.people
        self._sessions = services.access.sessions
        self._provider = services.provider

    def rows(self) -> list[Route]:
        return [
            self._shell.open("GET", "/sign-in", self.page, "The page to sign in on."),
            self._shell.open("POST", "/sign-in", self.sign_in, "Sign in."),
            self._shell.open("GET", "/sign-in/link", self.link, "What a sign-in link opens."),
            self._shell.open("POST", "/sign-in/link", self.redeem, "Set the password that a link is for."),
            self._shell.page("/account", self.account, "org.read", "One's own account."),
            self._shell.act("/account/password", self.change_password, "org.read", "Change one's password."),
            self._shell.act("/account/sign-out", self.sign_out, "org.read", "Sign out."),
        ]

    async def page(self, exchange: Exchange) -> None:
        await self._ask(exchange)

    async def _ask(self, exchange: Exchange, problem: AntiphonError | None = None, email: str = "") -> None:
        found = parse_qs(exchange.query.decode("latin-1"))
        await self._shell.show(
            exchange,
            "sign_in.html",
            code=problem.status if problem else 200,
            problem=problem,
            email=email,
            next=own_path(found.get("next", ["/"])[0]),
            anybody=await self._people.anybody(),
            provider=self._provider.name if self._provider else "",
        )

    async def sign_in(self, exchange: Exchange) -> None:
        require_own_site(exchange)
        form = await read(exchange, None)
        try:
            people = await self._people.by_password(form.text("email"), form.secret("password"))
        except AntiphonError as problem:
            await self._ask(exchange, problem, form.text("email"))
            return
        await self._organizations.admit(exchange, people, "password", own_path(form.text("next")))

    async def link(self, exchange: Exchange) -> None:
        token = parse_qs(exchange.query.decode("latin-1")).get("token", [""])[0]
        await self._ask_password(exchange, token)

    async def _ask_password(
        self, exchange: Exchange, token: str, problem: AntiphonError | None = None, form: Form | None = None
    ) -> None:
        try:
            link = await self._people.opened(token)
        except Unauthenticated as ended:
            await self._shell.show(exchange, "link_ended.html", code=ended.status)
            return
        await self._shell.show(
            exchange,
            "link.html",
            code=problem.status if problem else 200,
            link=link,
            token=token,
            problem=problem,
            email=form.text("email") if form else "",
            name=form.text("name") if form else "",
        )

    async def redeem(self, exchange: Exchange) -> None:
        require_own_site(exchange)
        form = await read(exchange, None)
        token = form.text("token")
        try:
            secret = await self._people.redeem(
                token, form.secret("password"), email=form.text("email"), name=form.text("name")
            )
        except AntiphonError as problem:
            await self._ask_password(exchange, token, problem, form)
            return
        await self._shell.keep(exchange, "/", secret)

    async def account(self, exchange: Exchange) -> None:
        caller = exchange.known_caller
        people = await self._people.list(caller.organization_id)
        me = next(one for one in people if one.member_id == caller.member_id)
        await self._shell.show(exchange, "account.html", me=me)

    async def change_password(self, exchange: Exchange, form: Form) -> None:
        caller, proven = exchange.known_caller, self._shell.proven(exchange)
        secret = await self._people.change_password(
            caller, form.secret("old_password"), form.secret("password")
        )
        await self._organizations.stay(exchange, proven, secret, "/account")

    async def sign_out(self, exchange: Exchange, form: Form) -> None:
        await self._sessions.end(exchange.known_caller)
        await self._shell.keep(exchange, "/sign-in")
