"""Who asks, and whether they may: the key in the `Authorization` header, before the body is read."""

from __future__ import annotations

from antiphon.access.authenticator import Authenticator
from antiphon.access.permissions import Permission, require
from antiphon.access.tenancy import DEFAULT
from antiphon.api.exchange import Exchange
from antiphon.errors import Unauthenticated
from antiphon.values import Caller


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


async def authorize(
    authenticator: Authenticator, exchange: Exchange, caller: Caller, needs: Permission | None
) -> Caller:
    """The caller as the route sees it, or `Forbidden`.

    An operator's key has no organization: on an organization's routes it works on the one that
    `OpenAI-Organization` names, or on the default one. `NotFound` if there is none like that.
    """
    require(caller, needs)
    if caller.kind == "operator" and needs != "operator":
        return await authenticator.within(caller, exchange.headers.get("openai-organization") or DEFAULT)
    return caller


def _is_own(exchange: Exchange, header: str, *own: str) -> bool:
    return exchange.headers.get(header, "") in ("", *own)
