"""Signing in by a provider of OpenID Connect, and back."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from antiphon.access.oidc import PENDING_SECONDS, Provider
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Handler, Route
from antiphon.console.pages.organizations import OrganizationPages
from antiphon.console.services import Services
from antiphon.console.shell import HTML, Shell, own_path
from antiphon.errors import AntiphonError

BACK = "/sign-in/oidc/callback"
_COOKIE = "antiphon_oidc"


class VouchedPages:
    """`provider` as the settings name it."""

    def __init__(
        self, shell: Shell, services: Services, organizations: OrganizationPages, provider: Provider
    ) -> None:
        self._shell = shell
        self._people = services.access.people
        self._organizations = organizations
        self._provider = provider

    def rows(self) -> list[Route]:
        return [
            self._row("/sign-in/oidc", self.begin, "Lead the browser to the provider."),
            self._row(BACK, self.finish, "Where the provider leads it back to."),
        ]

    def _row(self, path: str, handler: Handler, summary: str) -> Route:
        return Route(
            method="GET",
            path=path,
            handler=handler,
            summary=summary,
            public=True,
            listed=False,
            failing=self._failed,
        )

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
