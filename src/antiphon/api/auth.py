"""Who asks: the key in the `Authorization` header, before anything of the body is read."""

from __future__ import annotations

from antiphon.access.keys import Keys
from antiphon.api.exchange import Exchange
from antiphon.errors import Unauthenticated
from antiphon.values import Caller


async def authenticate(keys: Keys, exchange: Exchange) -> Caller:
    """The caller, or `Unauthenticated`. A key is taken from the header alone, never from the address."""
    scheme, _, token = exchange.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(
            "You didn't provide an API key. Send it in an Authorization header using Bearer auth "
            "(i.e. Authorization: Bearer YOUR_KEY). `antiphon keys create` makes one."
        )
    return await keys.authenticate(token.strip())
