"""What stands before an engine that listens on TCP: who does not show its secret is refused.

vLLM takes it as middleware, in an environment of its own: this file imports nothing but Python's library, and
its folder holds nothing else that could be imported from there.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

SECRET = "ANTIPHON_ENGINE_SECRET"
_BODY = b'{"error":{"message":"This engine answers its own gateway alone.","type":"invalid_request_error"}}'

App = Callable[[MutableMapping[str, Any], Callable[..., Awaitable[Any]], Callable[..., Awaitable[Any]]], Any]


class Guard:
    """An ASGI application that lets requests through to another one; without a secret, all of them."""

    def __init__(self, app: App, secret: str | None = None) -> None:
        self._app = app
        secret = os.environ.get(SECRET, "") if secret is None else secret
        self._expected = f"Bearer {secret}".encode() if secret else b""

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan" or not self._expected or self._knows(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_BODY))]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": _BODY})

    def _knows(self, scope: MutableMapping[str, Any]) -> bool:
        shown = next((value for name, value in scope.get("headers", ()) if name == b"authorization"), b"")
        return hmac.compare_digest(shown, self._expected)
