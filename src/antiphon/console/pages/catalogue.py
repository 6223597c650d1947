"""Models: what names mean today and next, what each snapshot is; switches and ends, for operators."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

from antiphon.access.permissions import allows
from antiphon.api.exchange import Exchange
from antiphon.api.model_page import priced
from antiphon.api.routes import Route
from antiphon.catalogue import preparing
from antiphon.catalogue.choices import choices
from antiphon.catalogue.entries import Ending, Entry
from antiphon.catalogue.fitting import fitting, known, require_replacement
from antiphon.catalogue.store import ModelStore
from antiphon.console.forms import Form
from antiphon.console.services import Pages
from antiphon.errors import ConfigurationError, InvalidRequest

NOTES = 500
"""Characters of what users are told of a change."""


class CataloguePages(Pages):
    def rows(self) -> list[Route]:
        act = self._shell.act
        return [
            self._shell.page("/catalogue", self.page, "org.read", "What models' names mean, and snapshots."),
            act("/catalogue/switch", self.switch, "operator", "Let an alias mean another snapshot."),
            act("/catalogue/cancel", self.cancel, "operator", "Call off a switch that is to come."),
            act("/catalogue/end", self.end, "operator", "Announce the end of a snapshot."),
            act("/catalogue/keep", self.keep, "operator", "Call off the end of a snapshot."),
        ]

    async def page(self, exchange: Exchange) -> None:
        catalogue, found = self._services.catalogue(), self._services.listing()
        switches, endings, _ = await self._services.changes.all()
        await self._shell.show(
            exchange,
            "catalogue.html",
            aliases=[one for one in found if one.means],
            snapshots=[
                (one, priced(one.price), _can(catalogue.entries[one.name])) for one in found if not one.means
            ],
            coming={(one.alias, one.at): one.id for one in switches},
            announced={one.snapshot for one in endings},
            now=self._services.clock(),
            choices=sorted(catalogue.installed - catalogue.ended)
            if allows(exchange.known_caller, "operator")
            else [],
            notes=NOTES,
        )

    async def switch(self, exchange: Exchange, form: Form) -> None:
        alias, snapshot, notes = form.text("alias"), form.text("snapshot"), form.text("notes")
        if len(notes) > NOTES:
            raise InvalidRequest(f"'notes' must be at most {NOTES} characters.", param="notes")
        at = self._moment(form.text("at"))
        with _said():
            entry = fitting(self._services.catalogue(), alias, snapshot)
            await asyncio.to_thread(self._require_ready, entry)
        made = await self._services.changes.switch(alias, snapshot, at, notes, by=exchange.known_caller)
        when = (
            "as soon as that is ready"
            if at is None
            else f"from {datetime.fromtimestamp(made.at, UTC):%Y-%m-%d %H:%M} UTC on"
        )
        await self._shell.go(exchange, "/catalogue", f"{alias} means {snapshot} {when}.")

    def _require_ready(self, entry: Entry) -> None:
        """Raises `ConfigurationError` where its files are to be made ready for their engine first."""
        settings = self._services.settings
        store = ModelStore(settings.home_path)
        for choice in choices(entry, store, settings):
            if not preparing.ready(store, entry, choice.kind):
                raise ConfigurationError(
                    f"'{entry.id}' is not made ready for {choice.kind.name} yet",
                    fix=f"antiphon models switch ALIAS {entry.id} does that, on the server",
                )

    def _moment(self, said: str) -> int | None:
        """Of what an input for a day and a time holds, in UTC; None for now."""
        if not said:
            return None
        try:
            at = int(datetime.fromisoformat(said).replace(tzinfo=UTC).timestamp())
        except ValueError:
            raise InvalidRequest("'at' must be a day and a time, as 2026-12-01T09:00.", param="at") from None
        if at <= self._services.clock():
            raise InvalidRequest("This moment is over: leave it out to switch now.", param="at")
        return at

    async def cancel(self, exchange: Exchange, form: Form) -> None:
        await self._services.changes.cancel(form.text("change"), by=exchange.known_caller)
        await self._shell.go(exchange, "/catalogue", "The switch is called off.")

    async def end(self, exchange: Exchange, form: Form) -> None:
        catalogue, snapshot = self._services.catalogue(), form.text("snapshot")
        replacement = form.text("replacement")
        try:
            day = date.fromisoformat(form.text("day"))
        except ValueError:
            raise InvalidRequest("'day' must be a day, as 2026-12-01.", param="day") from None
        if day <= datetime.fromtimestamp(self._services.clock(), UTC).date():
            raise InvalidRequest("The day must be one to come.", param="day")
        with _said():
            known(catalogue, snapshot)
            if replacement:
                require_replacement(catalogue, snapshot, replacement)
        ending = Ending(snapshot=snapshot, deprecated=catalogue.today, shutdown=day, replacement=replacement)
        await self._services.changes.end(ending, by=exchange.known_caller)
        await self._shell.go(
            exchange, "/catalogue", f"{snapshot} ends on {day}: its users are told from now on."
        )

    async def keep(self, exchange: Exchange, form: Form) -> None:
        await self._services.changes.keep(form.text("snapshot"), by=exchange.known_caller)
        await self._shell.go(exchange, "/catalogue", "The end is called off.")


@contextmanager
def _said() -> Iterator[None]:
    """What is wrong with a wish, said on the page with what to do about it."""
    try:
        yield
    except ConfigurationError as problem:
        raise InvalidRequest(f"{problem.message}: {problem.fix}.") from None


def _can(entry: Entry) -> str:
    """In a few words, what it is good for besides its task."""
    words = {"chat": ["messages", "completions"], "speech": ["transcripts", "translations"]}.get(
        entry.task, []
    )
    if entry.hears:
        words = [*words, f"recordings, by {entry.hears}"]
    if entry.dimensions:
        words = [f"vectors of {', '.join(map(str, sorted(entry.dimensions, reverse=True)))}"]
    return ", ".join(words)
