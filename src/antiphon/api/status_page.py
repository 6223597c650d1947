"""`/status`, `/status.json` and `/status.atom`: how well requests were and are answered, for everybody."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from importlib.resources import files

import jinja2
import msgspec

from antiphon.api.exchange import JSON, Exchange
from antiphon.api.reference import CSP
from antiphon.errors import AntiphonError
from antiphon.wire.status import Incident, Status, StatusApi, StatusDay

KEPT_SECONDS = 5.0
"""So long all of them are shown as they were made: a crowd costs what one visitor does."""
NAMES = {
    "chat": "Chat",
    "speech": "Speech",
    "embeddings": "Embeddings",
    "moderation": "Moderation",
    "administration": "Administration",
}
STATES = {
    "operational": "Operational",
    "degraded": "Degraded",
    "outage": "Outage",
    "maintenance": "Maintenance",
    "idle": "No requests lately",
    "no_data": "No data yet",
}
SENTENCES = {
    "operational": "All that was asked lately was answered as it should be.",
    "degraded": "More requests fail, or wait too long, than should.",
    "outage": "Most requests of an API fail.",
    "maintenance": "Announced maintenance is going on.",
    "idle": "Nobody has asked anything lately.",
    "no_data": "Nothing is known yet: figures come with the first requests and probes.",
}
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:antiphon:status")


class _Made(msgspec.Struct, frozen=True):
    page: bytes
    document: bytes
    feed: bytes
    until: float


class StatusPage:
    """Made anew every few seconds at most, for all visitors. `read` gives what is shown."""

    def __init__(
        self,
        read: Callable[[], Awaitable[Status]],
        public: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.public = public
        whose = "public" if public else "private"
        cache = f"{whose}, max-age={KEPT_SECONDS:g}"
        self._headers = {"content-security-policy": CSP, "cache-control": cache}
        self._read = read
        self._clock = clock
        self._made: _Made | None = None
        self._making = asyncio.Lock()
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("antiphon.api"), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        environment.filters |= {"moment": _moment, "iso": _iso, "percent": _percent, "level": level}
        environment.globals |= {"NAMES": NAMES, "STATES": STATES, "SENTENCES": SENTENCES, "urn": _urn}
        self._templates = [environment.get_template(name) for name in ("status.html", "status.atom")]
        self._style = (files("antiphon.api") / "templates" / "status.css").read_bytes()

    async def page(self, exchange: Exchange) -> None:
        made = await self._ready()
        await exchange.answer(made.page, "text/html; charset=utf-8", headers=self._headers)

    async def document(self, exchange: Exchange) -> None:
        await exchange.answer((await self._ready()).document, JSON, headers=self._headers)

    async def feed(self, exchange: Exchange) -> None:
        made = await self._ready()
        await exchange.answer(made.feed, "application/atom+xml; charset=utf-8", headers=self._headers)

    async def style(self, exchange: Exchange) -> None:
        await exchange.answer(self._style, "text/css; charset=utf-8")

    async def _ready(self) -> _Made:
        """What there is, if it is fresh. Raises what reading does, if nothing was ever read."""
        async with self._making:
            if self._made is None or self._clock() >= self._made.until:
                try:
                    status = await self._read()
                except AntiphonError:
                    if self._made is None:
                        raise
                    return self._made  # with its time: what was last known
                self._made = await asyncio.to_thread(self._make, status)
            return self._made

    def _make(self, status: Status) -> _Made:
        going = [one for one in status.incidents if goes_on(one, status.at)]
        past = [one for one in status.incidents if not goes_on(one, status.at)]
        said = {"status": status, "going": going, "past": past, "bars": bars(status.apis)}
        page, feed = (template.render(updated=_updated(status), **said) for template in self._templates)
        return _Made(page.encode(), msgspec.json.encode(status), feed.encode(), self._clock() + KEPT_SECONDS)


class Bar(msgspec.Struct, frozen=True):
    """One day: how far right it stands, how it is coloured, what it says."""

    x: int
    level: str
    words: str


def bars(apis: Sequence[StatusApi]) -> dict[str, tuple[str, list[Bar]]]:
    """For each API the days as bars, and what they say together to who cannot see them."""
    return {
        api.name: (
            _summary(api),
            [Bar(index * 8, level(day.uptime), _words(day)) for index, day in enumerate(api.days)],
        )
        for api in apis
    }


def level(uptime: float | None) -> str:
    """How a day, or another time, is coloured."""
    if uptime is None:
        return "none"
    return "good" if uptime >= 99.9 else "fair" if uptime >= 99 else "poor" if uptime >= 95 else "bad"


def goes_on(incident: Incident, now: int) -> bool:
    """Whether an incident, or maintenance that was announced, is not over."""
    over = incident.resolved_at is not None or (incident.ends_at is not None and incident.ends_at <= now)
    return not over


def _summary(api: StatusApi) -> str:
    known = [day for day in api.days if day.uptime is not None]
    name = NAMES[api.name]
    if not known:
        return f"{name}, the last {len(api.days)} days: no data yet."
    worst = min(known, key=lambda day: day.uptime or 0)
    whole = sum(day.lost_minutes == 0 for day in known)
    return (
        f"{name}, the last {len(api.days)} days: {len(known)} with data, {whole} of them without any loss; "
        f"the worst was {worst.date} with {_percent(worst.uptime)}."
    )


def _words(day: StatusDay) -> str:
    if day.uptime is None:
        return f"{day.date}: no data"
    lost = f", {day.lost_minutes:g} min lost" if day.lost_minutes else ""
    down = f", {day.down_minutes} min without a server" if day.down_minutes else ""
    return f"{day.date}: {_percent(day.uptime)}{lost}{down}"


def _updated(status: Status) -> int:
    """When anything of the feed changed last."""
    notes = [note.at for one in status.incidents for note in one.notes]
    return max(notes, default=min((api.since for api in status.apis if api.since), default=status.at))


def _percent(value: float | None) -> str:
    return "no data yet" if value is None else f"{value:.3f}".rstrip("0").rstrip(".") + " %"


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _iso(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _urn(name: str) -> str:
    return uuid.uuid5(_NAMESPACE, name).urn
