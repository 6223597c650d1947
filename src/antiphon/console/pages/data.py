"""What is kept of requests: for how long, whether it may be trained on, how it is deleted, and erased."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, get_args

from antiphon.access.permissions import allows
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console.forms import Form
from antiphon.console.jobs import forget_erased
from antiphon.console.pages.exports import EXPORT
from antiphon.console.services import Pages
from antiphon.errors import InvalidRequest
from antiphon.operations.erasing import erase
from antiphon.privacy import receipts
from antiphon.privacy.receipts import NO_POLICY, Count, Receipt, load_signer
from antiphon.wire.admin.data_retention import ProjectRetentionType

TYPES: tuple[ProjectRetentionType, ...] = get_args(ProjectRetentionType)
OFFERED = ("organization_default", "none", "modified_abuse_monitoring", "zero_data_retention")
"""Those that are not two names for the same."""
_RECEIPTS = 20


class DataPages(Pages):
    def rows(self) -> list[Route]:
        act = self._shell.act
        return [
            self._shell.page("/data", self.page, "org.read", "What is kept, for how long, and how it went."),
            act("/data/policy", self.set_policy, "org.write", "Say for how long content is kept."),
            act("/data/training", self.decide, "org.write", "Opt in to training, or out of it."),
            act("/data/erase", self.erase, "org.write", "Erase all content that is kept."),
        ]

    async def page(self, exchange: Exchange) -> None:
        services, caller = self._services, exchange.known_caller
        organization_id = caller.organization_id
        decisions, more = await services.consents.list(organization_id)
        people = await services.access.people.list(organization_id)
        await self._shell.show(
            exchange,
            "data.html",
            whole=await services.policies.get(organization_id),
            projects=await services.policies.of_projects(organization_id),
            offered=OFFERED,
            decisions=decisions,
            more=more,
            opted_in=bool(decisions) and decisions[0].opted_in,
            text=services.consents.text,
            names={one.member_id: one.name for one in people},
            receipts=await self._receipts(organization_id),
            no_policy=NO_POLICY,
            job=await services.jobs.latest(EXPORT, by=caller) if allows(caller, "org.write") else None,
        )

    async def _receipts(self, organization_id: str) -> dict[str, Any]:
        """The newest with something of the organization, whether all are sound, and the key they are signed
        with."""
        async with self._services.database.connect() as connection:
            every = await connection.run_sync(receipts.listed)
        signer = await asyncio.to_thread(load_signer, self._services.settings.home_path)
        faults = await asyncio.to_thread(receipts.faults, every, {signer.public_key})
        mine = [(one, counts) for one in reversed(every) if (counts := _of(one, organization_id))]
        return {
            "newest": [(one.body, counts, _fault(one, faults)) for one, counts in mine[:_RECEIPTS]],
            "number": len(mine),
            "every": len(every),
            "faults": len(faults),
            "public_key": signer.public_key,
        }

    async def set_policy(self, exchange: Exchange, form: Form) -> None:
        caller, wanted = exchange.known_caller, form.choice("type", TYPES)
        days = form.number("days") if wanted == "none" else None
        await self._services.policies.set(
            caller.organization_id, form.text("project") or None, wanted, days, by=caller
        )
        await self._shell.go(exchange, "/data", "The policy is in force.")

    async def decide(self, exchange: Exchange, form: Form) -> None:
        caller, consents = exchange.known_caller, self._services.consents
        if form.choice("decision", ("in", "out")) == "out":
            await consents.opt_out(caller.organization_id, by=caller)
            await self._shell.go(
                exchange, "/data", "You are opted out: nothing is taken for training any more."
            )
            return
        if form.text("agreed") != "yes":
            raise InvalidRequest("Say that you have read the text, and agree to it.", param="agreed")
        await consents.opt_in(caller.organization_id, form.text("version"), by=caller)
        await self._shell.go(exchange, "/data", "You are opted in, from this moment on.")

    async def erase(self, exchange: Exchange, form: Form) -> None:
        caller, project_id = exchange.known_caller, form.text("project") or None
        name = caller.organization
        if project_id is not None:
            name = (await self._services.access.projects.get(caller.organization_id, project_id)).name
        if form.text("confirm") != name:
            raise InvalidRequest(f"To erase it, type “{name}”, letter by letter.", param="confirm")
        async with self._services.database.begin() as connection:
            now = self._services.clock()
            gone = await erase(connection, caller.organization_id, project_id, now, by=caller)
        await forget_erased(self._services.database, self._services.jobs.root)
        said = (
            f"{gone:,} requests are erased: nobody reads them any more. Their keys are destroyed in a minute."
        )
        await self._shell.go(exchange, "/data", said)


def _of(receipt: Receipt, organization_id: str) -> list[Count]:
    return [one for one in receipt.body.deleted if one.organization == organization_id]


def _fault(receipt: Receipt, faults: Sequence[str]) -> str:
    return next((one for one in faults if one.startswith(f"{receipt.body.id} ")), "")
