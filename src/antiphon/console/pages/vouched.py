"""Signing in by a provider of OpenID Connect, and back."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from antiphon.access.oidc import PENDING_SECONDS, Provider
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console.pages.organizations import OrganizationPages
from antiphon.console.services import Pages, Services
from antiphon.console.shell import HTML, Shell, own_path
from antiphon.errors import AntiphonError

BACK = "/sign-in/oidc/callback"
_COOKIE = "antiphon_oidc"


class VouchedPages(Pages):
    """`provider` as the settings name it."""

    def __init__(
        self, shell: Shell, services: Services, organizations: OrganizationPages, provider: Provider
    ) -> None:
        super().__init__(shell, services)
        self._people = services.access.people
        self._organizations = organizations
        self._provider = provider

    def rows(self) -> list[Route]:
        rows = (
            ("/sign-in/oidc", self.begin, "Lead the browser to the provider."),
            (BACK, self.finish, "Where the provider leads it back to."),
        )
        return [self._shell.open("GET", *row, failing=self._failed) for row in rows]

    async def begin(self, exchange: Exchange) -> None:
        wanted = own_path(parse_qs(exchange.query.decode("latin-1")).get("next", ["/"])[0])
        address, kept = await self._provider.begin(self._shell.address(exchange) + BACK, wanted)
        await self._lead(exchange, address, kept, PENDING_SECONDS)

    async def finish(self, exchange: Exchange) -> None:
        said = {name: values[-1] for name, values in parse_qs(exchange.query.decode("latin-1")).items()}
        email, path = await self._provider.finish(
            _kept(exchange), said.get("state", ""), said.get("code", ""), self._shell.address(exchange) + BACK
        )
        people = await self._people.by_address(email)
        await self._organizations.admit(exchange, people, "oidc", own_path(path))

    async def _lead(self, exchange: Exchange, address: str, kept: str, seconds: int) -> None:
        cookie = f"{_COOKIE}={kept}; Max-Age={seconds}; Path=/sign-in/oidc; HttpOnly; SameSite=Lax"
        headers = {"location": address, "cache-control": "no-store", "set-cookie": cookie}
        await exchange.answer(b"", HTML, 303, headers)

    async def _failed(self, exchange: Exchange, problem: BaseException) -> None:
        """What went wrong is said where people can sign in otherwise."""
        if isinstance(problem, AntiphonError):
            await self._shell.go(exchange, "/sign-in", problem.message, "bad")
        else:
            await self._shell.failed(exchange, problem)


def _kept(exchange: Exchange) -> str:
    try:
        found = SimpleCookie(exchange.headers.get("cookie", "")).get(_COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
