"""How well requests are answered, as `/status` shows it to everybody; and incidents, kept by operators."""

from __future__ import annotations

from datetime import UTC, datetime

from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.api.status_page import NAMES, SENTENCES, STATES, bars, goes_on
from antiphon.console.forms import Form
from antiphon.console.services import Pages, Services
from antiphon.console.shell import Shell
from antiphon.errors import InvalidRequest
from antiphon.status.incidents import New


class UptimePages(Pages):
    def __init__(self, shell: Shell, services: Services) -> None:
        super().__init__(shell, services)
        self._incidents = services.incidents

    def rows(self) -> list[Route]:
        act = self._shell.act
        return [
            self._shell.page("/uptime", self.page, "org.read", "How well requests are answered."),
            act("/uptime/open", self.open, "operator", "Open an incident, or announce maintenance."),
            act("/uptime/note", self.note, "operator", "Add a note to an incident."),
            act("/uptime/resolve", self.resolve, "operator", "Say that an incident is over."),
        ]

    async def page(self, exchange: Exchange) -> None:
        status = await self._incidents.status()
        await self._shell.show(
            exchange,
            "uptime.html",
            status=status,
            bars=bars(status.apis),
            going=[one for one in status.incidents if goes_on(one, status.at)],
            past=[one for one in status.incidents if not goes_on(one, status.at)],
            names=NAMES,
            states=STATES,
            sentences=SENTENCES,
        )

    async def open(self, exchange: Exchange, form: Form) -> None:
        new = New(
            title=form.text("title"),
            text=form.text("text"),
            api=form.text("api"),
            begins_at=utc(form, "begins"),
            ends_at=utc(form, "ends"),
        )
        await self._incidents.open(new, by=exchange.known_caller)
        await self._shell.go(exchange, "/uptime", f"“{new.title}” is shown on the status page now.")

    async def note(self, exchange: Exchange, form: Form) -> None:
        await self._incidents.note(form.text("incident"), form.text("text"), by=exchange.known_caller)
        await self._shell.go(exchange, "/uptime", "The note is shown on the status page now.")

    async def resolve(self, exchange: Exchange, form: Form) -> None:
        await self._incidents.resolve(form.text("incident"), form.text("text"), by=exchange.known_caller)
        await self._shell.go(exchange, "/uptime", "The incident is over.")


def utc(form: Form, name: str) -> int | None:
    """Unix seconds of a field for a moment of UTC, as `2026-12-01T08:00`; None where it is empty."""
    said = form.text(name)
    if not said:
        return None
    try:
        return int(datetime.fromisoformat(said).replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise InvalidRequest(f"'{name}' must be a day and a time.", param=name) from None
