"""What all pages have in common: frame, headers, messages, and how they say what went wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit

import jinja2
import msgspec

from antiphon.access.access import Access
from antiphon.access.entering import CHOOSING_SECONDS, Proven
from antiphon.access.permissions import Permission, allows
from antiphon.api.auth import COOKIE, proven_of, session_of
from antiphon.api.envelope import known
from antiphon.api.exchange import Exchange
from antiphon.api.own_address import own_address
from antiphon.api.routes import Failing, Handler, Route, Router
from antiphon.console.forms import Form, read
from antiphon.console.navigation import visible
from antiphon.console.refilling import refilled
from antiphon.console.written import FILTERS
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


class Refused(msgspec.Struct, frozen=True):
    """A form that could not be done as it was sent; `action` is that of the form which holds its fields."""

    form: Form
    action: str
    error: AntiphonError


class Shell:
    def __init__(self, settings: Settings, access: Access) -> None:
        self._sessions = access.sessions
        self._entering = access.entering
        self._public = settings.public_url
        self._secure = settings.public_url.startswith("https://")
        self._pages: list[Route] = []
        self._refused: dict[str, Refused] = {}
        """By the id of the request that is being answered."""
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("antiphon.console"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        self._environment.filters |= FILTERS

    # --- routes --------------------------------------------------------------------------------------------

    def open(
        self, method: str, path: str, handler: Handler, summary: str, failing: Failing | None = None
    ) -> Route:
        """What people need to sign in; `failing` says what went wrong, where `failed` does not."""
        return self._row(method, path, handler, summary, failing=failing)

    def page(self, path: str, handler: Handler, needs: Permission, summary: str) -> Route:
        """A page that people look at."""
        page = self._row("GET", path, handler, summary, needs)
        self._pages.append(page)
        return page

    def act(self, path: str, handler: Act, needs: Permission, summary: str, filled_in: str = "") -> Route:
        """What a form of a page does: only once it is known to come from a page of this session.

        Where that cannot be done, the page is shown again with what was filled in; `filled_in` is the action
        of the form that this was, if the one that was sent just repeats it.
        """
        return self._row("POST", path, partial(self._acted, handler, filled_in), summary, needs)

    def _row(
        self,
        method: str,
        path: str,
        handler: Handler,
        summary: str,
        needs: Permission | None = None,
        failing: Failing | None = None,
    ) -> Route:
        """What is open to everybody needs nothing."""
        return Route(
            method=method,
            path=path,
            handler=handler,
            needs=needs,
            public=needs is None,
            summary=summary,
            listed=False,
            failing=failing or self.failed,
        )

    async def _acted(self, handler: Act, filled_in: str, exchange: Exchange) -> None:
        form = await read(exchange, self.proof(exchange))
        try:
            await handler(exchange, form)
        except AntiphonError as problem:
            if exchange.status or not _can_be_mended(problem):
                raise
            await self._show_again(exchange, Refused(form, filled_in or exchange.path, problem))

    async def _show_again(self, exchange: Exchange, refused: Refused) -> None:
        """The page whose form was sent, with what was filled in and what is wrong about it.

        Raises the refusal itself where that page cannot be shown.
        """
        found = self._sent_from(exchange)
        if found is None:
            raise refused.error
        sent = exchange.path, exchange.query, exchange.parameters
        page, exchange.path, exchange.query, exchange.parameters = found
        self._refused[exchange.id] = refused
        try:
            await page.handler(exchange)
        except AntiphonError:
            if exchange.status:
                raise
            raise refused.error from None
        finally:
            del self._refused[exchange.id]
            exchange.path, exchange.query, exchange.parameters = sent

    def _sent_from(self, exchange: Exchange) -> tuple[Route, str, bytes, dict[str, str]] | None:
        """The page that a form was sent from, as its browser says; else the one that the form belongs to."""
        said, router = urlsplit(exchange.headers.get("referer", "")), Router(self._pages)
        own = said.netloc in (exchange.headers.get("host"), urlsplit(self._public).netloc) and said.netloc
        places = [(unquote(said.path), said.query.encode())] if own else []
        for path, query in [*places, (_back(exchange), b"")]:
            found = router.find("GET", path)
            if found is not None and _may(exchange.caller, found[0].needs):
                return found[0], path, query, found[1]
        return None

    def proof(self, exchange: Exchange) -> str:
        return self._sessions.proof(session_of(exchange))

    def proven(self, exchange: Exchange) -> Proven | None:
        """The memberships that this session may be left for; None if it is the only one."""
        return self._entering.unsealed(proven_of(exchange), session_of(exchange))

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
        caller, refused = exchange.caller, self._refused.get(exchange.id)
        said = ("bad", refused.error.message) if refused else _said(exchange)
        page = self._environment.get_template(template).render(
            caller=caller,
            groups=visible(caller) if caller else {},
            path=exchange.path,
            here=_here(exchange, refused) if exchange.method == "POST" else "",
            csrf=self.proof(exchange) if caller else "",
            elsewhere=caller is not None and self.proven(exchange) is not None,
            said=said,
            may=partial(_may, caller),
            **values,
        )
        if refused:
            page, code = (
                refilled(page, refused.action, refused.form, refused.error.param),
                refused.error.status,
            )
        cleared = {"set-cookie": f"{SAID}=; Max-Age=0; Path=/; SameSite=Lax"} if said[1] else {}
        every = {
            "content-security-policy": CSP,
            "cache-control": "no-store",
            # A form says from which page it was sent; nobody else is told anything.
            "referrer-policy": "same-origin" if caller else "no-referrer",
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

    async def keep(self, exchange: Exchange, path: str, secret: str = "", proven: str = "") -> None:
        """Lead on, with this session in the browser and what was proven by who signed in; with neither,
        without any."""
        value = f"{secret}.{proven}" if proven else secret
        seconds = self._sessions.seconds if secret else CHOOSING_SECONDS if proven else 0
        cookie = f"{COOKIE}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax"
        cookie += "; Secure" if self._secure else ""
        headers = {"location": path, "cache-control": "no-store", "set-cookie": cookie}
        await exchange.answer(b"", HTML, 303, headers)

    def address(self, exchange: Exchange) -> str:
        """Where people reach this server, as `http://127.0.0.1:8000`."""
        return own_address(exchange, self._public)

    async def failed(self, exchange: Exchange, problem: BaseException) -> None:
        """Say what went wrong: who is not signed in is led there, and a form that was not even read leads
        back to its page."""
        error = known(problem, exchange.id)
        if isinstance(error, ClientGone):
            return
        if error.status == 401:
            asked = exchange.method == "GET" and not exchange.path.startswith("/sign-in")
            wanted = exchange.path if asked else "/"
            where = "/sign-in" + (f"?next={quote(wanted)}" if wanted != "/" else "")
            await self.go(exchange, where, error.message if exchange.method == "POST" else "", "bad")
        elif exchange.method == "POST" and _can_be_mended(error):
            await self.go(exchange, _back(exchange), error.message, "bad")
        else:
            await self.show(exchange, "problem.html", code=error.status, error=error, title=_title(error))


def own_path(said: str) -> str:
    """A path of this site, whatever was said."""
    plain = said.startswith("/") and not said.startswith(("//", "/\\")) and said.isprintable()
    return said if plain and said.isascii() else "/"


def _can_be_mended(error: AntiphonError) -> bool:
    """Whether another form may be right."""
    return error.status < 500 and error.status not in (401, 403)


def _here(exchange: Exchange, refused: Refused | None) -> str:
    """The address of a page that is shown in answer to a form: one that may be loaded again."""
    if refused is None:
        return _back(exchange)
    return quote(exchange.path) + (f"?{exchange.query.decode('latin-1')}" if exchange.query else "")


def _back(exchange: Exchange) -> str:
    """The page whose form was sent: `/keys` for `/keys/create`, `/flags/1` for `/flags/1/answer`."""
    named = exchange.route.strip("/").split("/")[1:2]
    parts = exchange.path.strip("/").split("/")
    return "/" + "/".join(parts[: 2 if named and named[0].startswith("{") else 1])


def _title(error: AntiphonError) -> str:
    return {403: "Not allowed", 404: "Not found", 503: "Not now"}.get(error.status, "Something went wrong")


def _may(caller: Caller | None, needs: Permission | None) -> bool:
    return caller is not None and allows(caller, needs)


def _said(exchange: Exchange) -> tuple[str, str]:
    """What the page before left to say: of which kind, and the words."""
    for part in exchange.headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        kind, _, words = value.partition(".")
        if name == SAID and kind in ("good", "bad"):
            return kind, unquote(words)[:500]
    return "", ""
