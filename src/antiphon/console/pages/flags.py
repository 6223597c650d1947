"""Flags: what monitoring found, what followed, and what people say to it; thresholds, and how one stands."""

from __future__ import annotations

from typing import get_args
from urllib.parse import parse_qs

from antiphon.access.permissions import allows
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console.forms import Form
from antiphon.console.services import Pages, Services
from antiphon.console.shell import Shell
from antiphon.console.tables import ROWS, around
from antiphon.errors import InvalidRequest, NotFound
from antiphon.moderation.flags import MOST_WORDS, Flag, Outcome, Status
from antiphon.moderation.policy import ACTIONS, KNOWN, MANUAL
from antiphon.moderation.thresholds import EVERYBODY

STATUSES: tuple[Status, ...] = get_args(Status)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
_KEPT = ("status", "category", "of", "after", "before")
_FLAG = "/flags/{flag_id}"


class FlagPages(Pages):
    def __init__(self, shell: Shell, services: Services) -> None:
        super().__init__(shell, services)
        self._moderating = services.moderation.moderating
        self._thresholds = services.moderation.thresholds

    def rows(self) -> list[Route]:
        act = self._shell.act
        return [
            self._shell.page("/flags", self.page, "org.read", "What monitoring found."),
            act(
                "/flags/thresholds",
                self.set_threshold,
                "operator",
                "Say from which score on something follows.",
            ),
            act("/flags/thresholds/reset", self.reset, "operator", "Go back to what counts for everybody."),
            act("/flags/suspend", self.suspend, "operator", "Refuse the keys of an organization's projects."),
            act("/flags/resume", self.resume, "operator", "Let an organization go on."),
            self._shell.page(_FLAG, self.flag, "org.read", "A flag, and what it is about."),
            act(_FLAG + "/appeal", self.appeal, "org.write", "Say, once, why a flag is wrong."),
            act(_FLAG + "/resolve", self.resolve, "operator", "Decide about a flag."),
        ]

    async def page(self, exchange: Exchange) -> None:
        caller, asked = exchange.known_caller, _asked(exchange)
        everybody = asked["of"] == "all" and allows(caller, "operator")
        status = next((one for one in STATUSES if one == asked["status"]), None)
        found, more = await self._moderating.flags(
            None if everybody else caller.organization_id,
            status=status,
            category=asked["category"] or None,
            after=asked["after"] or None,
            before=asked["before"] or None,
            limit=ROWS,
        )
        kept = {name: asked[name] for name in _KEPT}
        await self._shell.show(
            exchange,
            "flags.html",
            flags=found,
            names=await self._names(found) if everybody else {},
            pages=around("/flags", kept, [one.id for one in found], more),
            asked=asked,
            statuses=STATUSES,
            categories=(*KNOWN, MANUAL),
            actions=ACTIONS,
            standing=await self._moderating.standing(caller.organization_id),
            thresholds=sorted((await self._thresholds.of(caller.organization_id)).items()),
            now=self._services.clock(),
        )

    async def _names(self, flags: list[Flag]) -> dict[str, str]:
        """What the organizations of flags are called, by their ids."""
        find = self._services.access.organizations.get
        return {id: (await find(id)).name for id in {one.organization_id for one in flags}}

    async def flag(self, exchange: Exchange) -> None:
        found, caller = await self._found(exchange), exchange.known_caller
        wanted = bool(_asked(exchange)["evidence"]) and allows(caller, "org.write")
        evidence = await self._moderating.evidence(found.organization_id, found.id) if wanted else None
        await self._shell.show(
            exchange,
            "flag.html",
            flag=found,
            name=(await self._names([found]))[found.organization_id],
            mine=found.organization_id == caller.organization_id,
            standing=await self._moderating.standing(found.organization_id),
            shown=wanted,
            evidence=evidence,
            most=MOST_WORDS,
            now=self._services.clock(),
        )

    async def _found(self, exchange: Exchange) -> Flag:
        """The flag of the path; an operator's may be any."""
        caller = exchange.known_caller
        whose = None if allows(caller, "operator") else caller.organization_id
        return await self._moderating.flag(whose, exchange.parameters["flag_id"])

    async def appeal(self, exchange: Exchange, form: Form) -> None:
        caller, flag_id = exchange.known_caller, exchange.parameters["flag_id"]
        await self._moderating.appeal(caller.organization_id, flag_id, form.text("text"), by=caller)
        await self._shell.go(
            exchange, f"/flags/{flag_id}", "Your words are with the operator, who will answer."
        )

    async def resolve(self, exchange: Exchange, form: Form) -> None:
        flag_id, outcome = exchange.parameters["flag_id"], form.choice("outcome", OUTCOMES)
        await self._moderating.resolve(flag_id, outcome, form.text("answer"), by=exchange.known_caller)
        undone = ": what was done because of it is taken back" if outcome == "dismissed" else ""
        await self._shell.go(exchange, f"/flags/{flag_id}", f"The flag is {outcome}{undone}.")

    async def set_threshold(self, exchange: Exchange, form: Form) -> None:
        await self._thresholds.set(
            self._scope(exchange, form),
            form.text("category"),
            form.text("action"),
            _score(form.text("score")),
            times=form.number("times") or 1,
            by=exchange.known_caller,
        )
        await self._shell.go(exchange, "/flags", "The threshold counts from now on.")

    async def reset(self, exchange: Exchange, form: Form) -> None:
        await self._thresholds.reset(self._scope(exchange, form), by=exchange.known_caller)
        await self._shell.go(exchange, "/flags", "The thresholds are what they were at first.")

    @staticmethod
    def _scope(exchange: Exchange, form: Form) -> str:
        everybody = form.choice("scope", ("organization", "everybody")) == "everybody"
        return EVERYBODY if everybody else exchange.known_caller.organization_id

    async def suspend(self, exchange: Exchange, form: Form) -> None:
        organization_id = form.text("organization")
        if not form.text("reason"):
            raise InvalidRequest("Say why: the organization reads it.", param="reason")
        flag_id = await self._moderating.suspend(
            organization_id, form.text("reason"), by=exchange.known_caller
        )
        await self._shell.go(exchange, f"/flags/{flag_id}", "Its projects' keys are refused from now on.")

    async def resume(self, exchange: Exchange, form: Form) -> None:
        if not await self._moderating.resume(form.text("organization"), by=exchange.known_caller):
            raise NotFound("There was nothing to lift.")
        await self._shell.go(exchange, "/flags", "The organization goes on, at its full rates.")


def _asked(exchange: Exchange) -> dict[str, str]:
    found = parse_qs(exchange.query.decode("latin-1"))
    return {name: found.get(name, [""])[0] for name in (*_KEPT, "evidence")}


def _score(said: str) -> float | None:
    """None: never."""
    if said.lower() == "never":
        return None
    try:
        return float(said)
    except ValueError:
        raise InvalidRequest(
            "'score' must be a number above 0 and at most 1, or never.", param="score"
        ) from None
