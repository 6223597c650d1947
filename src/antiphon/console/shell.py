"""What all pages have in common: frame, headers, messages, and how they say what went wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal
from urllib.parse import quote, unquote

import jinja2

from antiphon.access.permissions import Permission, allows
from antiphon.api.auth import COOKIE, session_of
from antiphon.api.envelope import known
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.catalogue.prices import dollars
from antiphon.console.forms import Form, read
from antiphon.console.navigation import visible
from antiphon.errors import AntiphonError, ClientGone
from antiphon.settings import Settings
from antiphon.values import Caller

CSP = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
HTML = "text/html; charset=utf-8"
SAID = "antiphon_said"
"""The cookie with what the next page says, once."""
Act = Callable[[Exchange, Form], Awaitable[None]]


class Shell:
    """`proof` as `Sessions` has it."""

    def __init__(self, settings: Settings, proof: Callable[[str], str]) -> None:
        self._proof = proof
        self._public = settings.public_url
        self._secure = settings.public_url.startswith("https://")
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("antiphon.console"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        self._environment.filters |= {"moment": moment, "day": day, "money": money, "number": number}

    # --- routes --------------------------------------------------------------------------------------------

    def page(
        self, path: str, handler: Callable[[Exchange], Awaitable[None]], needs: Permission, summary: str
    ) -> Route:
        """A page that people look at."""
        return Route(
            method="GET",
            path=path,
            handler=handler,
            needs=needs,
            summary=summary,
            listed=False,
            failing=self.failed,
        )

    def act(self, path: str, handler: Act, needs: Permission, summary: str) -> Route:
        """What a form of a page does: only once it is known to come from a page of this session."""
        return Route(
            method="POST",
            path=path,
            handler=partial(self._acted, handler),
            needs=needs,
            summary=summary,
            listed=False,
            failing=self.failed,
        )

    async def _acted(self, handler: Act, exchange: Exchange) -> None:
        await handler(exchange, await read(exchange, self.proof(exchange)))

    def proof(self, exchange: Exchange) -> str:
        return self._proof(session_of(exchange))

    # --- answers -------------------------------------------------------------------------------------------

    async def show(
        self,
        exchange: Exchange,
        template: str,
        *,
        code: int = 200,
        headers: Mapping[str, str] = {},
        **values: Any,
    ) -> None:
        """A page for whoever asks; `values` are what its template needs."""
        caller, said = exchange.caller, _said(exchange)
        page = self._environment.get_template(template).render(
            caller=caller,
            groups=visible(caller) if caller else {},
            path=exchange.path,
            csrf=self.proof(exchange) if caller else "",
            said=said,
            may=partial(_may, caller),
            **values,
        )
        cleared = {"set-cookie": f"{SAID}=; Max-Age=0; Path=/; SameSite=Lax"} if said[1] else {}
        every = {
            "content-security-policy": CSP,
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
            **cleared,
            **headers,
        }
        await exchange.answer(page.encode(), HTML, code, every)

    async def go(
        self, exchange: Exchange, path: str, said: str = "", kind: Literal["good", "bad"] = "good"
    ) -> None:
        """Lead on to another page, which says this once."""
        headers = {"location": path, "cache-control": "no-store"}
        if said:
            headers["set-cookie"] = f"{SAID}={kind}.{quote(said[:500], safe='')}; Max-Age=60; Path=/; " + (
                "HttpOnly; SameSite=Lax"
            )
        await exchange.answer(b"", HTML, 303, headers)

    def signed_in(self, secret: str, seconds: int) -> str:
        """The header that keeps a session in the browser; with no secret, the one that ends it."""
        secure = "; Secure" if self._secure else ""
        return f"{COOKIE}={secret}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{secure}"

    def address(self, exchange: Exchange) -> str:
        """Where people reach this server, as `http://127.0.0.1:8000`."""
        return self._public or f"http://{exchange.headers.get('host', '127.0.0.1')}"

    async def failed(self, exchange: Exchange, problem: BaseException) -> None:
        """Say what went wrong: who is not signed in is led there, and a form leads back to its page."""
        error = known(problem, exchange.id)
        if isinstance(error, ClientGone):
            return
        if error.status == 401:
            wanted = exchange.path if exchange.method == "GET" else "/"
            await self.go(exchange, "/sign-in" + (f"?next={quote(wanted)}" if wanted != "/" else ""))
        elif exchange.method == "POST" and error.status < 500 and error.status != 403:
            await self.go(exchange, _back(exchange), error.message, "bad")
        else:
            await self.show(exchange, "problem.html", code=error.status, error=error, title=_title(error))


def _back(exchange: Exchange) -> str:
    """The page whose form was sent: `/keys` for `/keys/create`, `/flags/1` for `/flags/1/answer`."""
    named = exchange.route.strip("/").split("/")[1:2]
    parts = exchange.path.strip("/").split("/")
    return "/" + "/".join(parts[: 2 if named and named[0].startswith("{") else 1])


def _title(error: AntiphonError) -> str:
    return {403: "Not allowed", 404: "Not found", 503: "Not now"}.get(error.status, "Something went wrong")


def _may(caller: Caller | None, needs: Permission) -> bool:
    return caller is not None and allows(caller, needs)


def _said(exchange: Exchange) -> tuple[str, str]:
    """What the page before left to say: of which kind, and the words."""
    for part in exchange.headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        kind, _, words = value.partition(".")
        if name == SAID and kind in ("good", "bad"):
            return kind, unquote(words)[:500]
    return "", ""


# --- what templates write -----------------------------------------------------------------------------------


def moment(seconds: int | float | None) -> str:
    return "never" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def day(seconds: int | float | None) -> str:
    return "never" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def money(nanos: int) -> str:
    """Nano-dollars in dollars, exactly: `$0.0015`, and `-$2` for what is owed."""
    return f"-${dollars(-nanos)}" if nanos < 0 else f"${dollars(nanos)}"


def number(value: int | float) -> str:
    return f"{value:,}"
