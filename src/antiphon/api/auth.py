"""Who asks, and whether they may: the key in the `Authorization` header, or the console's cookie, before the
body is read."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie

from antiphon.access.authenticator import Authenticator
from antiphon.access.permissions import SCOPES, Permission, require
from antiphon.access.tenancy import DEFAULT
from antiphon.api.exchange import Exchange
from antiphon.errors import Forbidden, Unauthenticated
from antiphon.values import Caller

COOKIE = "antiphon_session"
PROOF = "x-csrf-token"
_READING = ("GET", "HEAD")


async def authenticate(authenticator: Authenticator, exchange: Exchange) -> Caller:
    """The caller, or `Unauthenticated`. A key is taken from the header alone, never from the address.

    What `OpenAI-Organization` and `OpenAI-Project` name, by id or name, must be the key's own. An
    administration key has no project: whatever its client sends as one decides nothing.
    """
    scheme, _, token = exchange.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(
            "You didn't provide an API key. Send it in an Authorization header using Bearer auth "
            "(i.e. Authorization: Bearer YOUR_KEY). `antiphon keys create` makes one."
        )
    caller = await authenticator.authenticate(token.strip())
    if caller.kind == "session":
        raise Unauthenticated("This is no API key. `antiphon keys create` makes one.")
    if caller.kind == "operator":
        return caller
    if not _is_own(exchange, "openai-organization", caller.organization_id, caller.organization):
        raise Unauthenticated(
            "OpenAI-Organization header should match organization for API key.",
            code="mismatched_organization",
        )
    if caller.kind == "project" and not _is_own(
        exchange, "openai-project", caller.project_id, caller.project
    ):
        raise Unauthenticated(
            "OpenAI-Project header should match project for API key.", code="mismatched_project"
        )
    return caller


def session_of(exchange: Exchange) -> str:
    """The secret in the console's cookie; empty if there is none."""
    return _cookie(exchange)[0]


def proven_of(exchange: Exchange) -> str:
    """What was proven by who signed in, as `Entering` seals it: the rest of that cookie, behind a point."""
    return _cookie(exchange)[1]


def _cookie(exchange: Exchange) -> tuple[str, str]:
    try:
        found = SimpleCookie(exchange.headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        found = None
    secret, _, proven = (found.value if found else "").partition(".")
    return secret, proven


async def by_session(
    authenticator: Authenticator, exchange: Exchange, proof: Callable[[str], str] | None = None
) -> Caller:
    """The person who signed in with this browser, or `Unauthenticated`.

    Changes are taken from the console's own pages alone, or `Forbidden`: a browser says which site asks, and
    `proof` gives what `x-csrf-token` must be; without it, the route's form brings that along.
    """
    secret = session_of(exchange)
    if not secret:
        raise Unauthenticated("Sign in first.")
    caller = await authenticator.authenticate(secret)
    if caller.kind != "session":
        raise Unauthenticated("Sign in first.")
    if exchange.method not in _READING:
        require_own_site(exchange)
        if proof and not hmac.compare_digest(
            exchange.headers.get(PROOF, "").encode(), proof(secret).encode()
        ):
            raise Forbidden(f"'{PROOF}' must be the one of this session.", code="csrf")
    return caller


def require_own_site(exchange: Exchange) -> None:
    """Raise `Forbidden` for a change that the page of another site asks for."""
    site, origin = exchange.headers.get("sec-fetch-site"), exchange.headers.get("origin")
    if site is not None:
        own = site in ("same-origin", "none")
    else:  # a browser that is older than that, or none
        own = origin is None or origin.partition("://")[2] == exchange.headers.get("host")
    if not own:
        raise Forbidden("The page of another site asked for this.", code="csrf")


async def authorize(
    authenticator: Authenticator, exchange: Exchange, caller: Caller, needs: Permission | None
) -> Caller:
    """The caller as the route sees it, or `Forbidden`.

    An operator's key has no organization: on an organization's routes it works on the one that
    `OpenAI-Organization` names, or on the default one. A person works on the project that `OpenAI-Project`
    names, or on the oldest. `NotFound` if there is none like that.
    """
    require(caller, needs)
    if caller.kind == "session" and needs in SCOPES:
        return await authenticator.within_project(caller, exchange.headers.get("openai-project", ""))
    if caller.kind == "operator" and needs != "operator":
        return await authenticator.within(caller, exchange.headers.get("openai-organization") or DEFAULT)
    return caller


def _is_own(exchange: Exchange, header: str, *own: str) -> bool:
    return exchange.headers.get(header, "") in ("", *own)
