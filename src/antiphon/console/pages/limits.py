"""What projects may do in a minute and a day, and what may be spent in a month."""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from antiphon.access.projects import Project
from antiphon.admission.limits import Limits
from antiphon.api import query
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console.forms import Form
from antiphon.console.services import Pages, Services
from antiphon.console.shell import Shell
from antiphon.errors import InvalidRequest, NotFound
from antiphon.ledger import credits, leases, time_charges
from antiphon.ledger.credits import Balance, Credit
from antiphon.money import money

NAMES = {
    "requests_per_minute": "Requests a minute",
    "tokens_per_minute": "Tokens a minute",
    "audio_seconds_per_minute": "Seconds of sound a minute",
    "audio_megabytes_per_minute": "Megabytes of sound a minute",
    "requests_per_day": "Requests a day",
    "tokens_per_day": "Tokens a day",
    "concurrent_requests": "Requests at once",
}
"""The limits as people read them."""
LARGEST = 10**12
"""What a rate may be at most."""
MOST_CENTS = 10**10
PROJECTS = 100
"""Those that are shown."""
CREDITS = 100


class _Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose rate limits are shown; by default those of the first project."""

    project: str = ""


class _Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which rate limits are to be changed."""

    project: str
    model: str


class Budget(msgspec.Struct, frozen=True):
    """Of the organization (no project), or of a project: nano-dollars a month, if there is one."""

    project: Project | None
    limit: int | None
    spent: int

    @property
    def percent(self) -> int:
        """Of the limit; a limit of nothing is spent."""
        return 100 if not self.limit else self.spent * 100 // self.limit

    @property
    def amount(self) -> str:
        """As a form shows it."""
        return "" if self.limit is None else money(self.limit).removeprefix("$")


class LimitPages(Pages):
    def __init__(self, shell: Shell, services: Services) -> None:
        super().__init__(shell, services)
        self._rates = services.rate_limits
        self._spend = services.spend_limits

    def rows(self) -> list[Route]:
        page, act = self._shell.page, self._shell.act
        return [
            page("/limits", self.page, "org.read", "What may be done, and spent."),
            page("/limits/rates", self.rates, "org.write", "The rate limits of a project with a model."),
            act("/limits/rates", self.change_rates, "org.write", "Change the rate limits of a project."),
            act("/limits/spend", self.set_spend, "org.write", "Set a budget."),
            act("/limits/spend/remove", self.remove_spend, "org.write", "Remove a budget."),
        ]

    async def page(self, exchange: Exchange) -> None:
        wanted, organization_id = query.read(exchange, _Shown), exchange.known_caller.organization_id
        found = await self._services.access.projects.list(organization_id, limit=PROJECTS)
        projects, more = found.data, found.has_more
        chosen = await self._project(organization_id, wanted.project) if wanted.project else None
        chosen = chosen or (projects[0] if projects else None)
        snapshots = sorted(self._services.snapshots())
        rates = await self._rates.list(organization_id, chosen.id, snapshots) if chosen else {}
        budgets = await self._budgets(organization_id, projects)
        await self._shell.show(
            exchange,
            "limits.html",
            projects=projects,
            more=more,
            chosen=chosen,
            rates={model: msgspec.structs.asdict(limits) for model, limits in rates.items()},
            own=await self._rates.own(organization_id, chosen.id) if chosen else {},
            names=NAMES,
            budgets=budgets,
            month=time_charges.month(int(self._services.clock())),
            prepaid=await self._prepaid(organization_id),
        )

    async def _project(self, organization_id: str, id: str) -> Project:
        return await self._services.access.projects.get(organization_id, id)

    async def _budgets(self, organization_id: str, projects: list[Project]) -> list[Budget]:
        month = time_charges.month(int(self._services.clock()))
        owners: list[Project | None] = [None, *projects]
        scopes = [((one.id if one else organization_id), month) for one in owners]
        async with self._services.database.connect() as connection:
            limits = await connection.run_sync(leases.limits, scopes)
            spent = await connection.run_sync(leases.spent, scopes)
        return [
            Budget(owner, limits.get(scope), spent[scope])
            for owner, scope in zip(owners, scopes, strict=True)
        ]

    async def _prepaid(self, organization_id: str) -> tuple[Balance, list[Credit]] | None:
        """The balance and the credits of an organization that pays in advance."""
        if not (await self._services.access.organizations.get(organization_id)).prepaid:
            return None
        async with self._services.database.connect() as connection:
            given, _ = await connection.run_sync(lambda c: credits.listed(c, organization_id, limit=CREDITS))
            return await connection.run_sync(credits.balance, organization_id), given

    # --- rates ---------------------------------------------------------------------------------------------

    async def rates(self, exchange: Exchange) -> None:
        wanted, organization_id = query.read(exchange, _Chosen), exchange.known_caller.organization_id
        project = await self._project(organization_id, wanted.project)
        own = await self._rates.own(organization_id, project.id)
        await self._shell.show(
            exchange,
            "rate_limits.html",
            project=project,
            model=self._model(wanted.model),
            own=own.get(wanted.model, {}),
            installed=msgspec.structs.asdict(self._rates.installed),
            names=NAMES,
        )

    async def change_rates(self, exchange: Exchange, form: Form) -> None:
        caller, model = exchange.known_caller, self._model(form.text("model"))
        project = await self._project(caller.organization_id, form.text("project"))
        before = (await self._rates.own(caller.organization_id, project.id)).get(model, {})
        wanted = {name: _rate(form, name) for name in Limits.__struct_fields__}
        changes = {name: value for name, value in wanted.items() if value != before.get(name)}
        await self._rates.update(caller.organization_id, project.id, model, changes, by=caller)
        said = f"The limits of {project.name} with {model} are in force within a second."
        await self._shell.go(exchange, f"/limits?project={project.id}", said)

    def _model(self, name: str) -> str:
        if name not in self._services.snapshots():
            raise NotFound("This model is not served.")
        return name

    # --- money ---------------------------------------------------------------------------------------------

    async def set_spend(self, exchange: Exchange, form: Form) -> None:
        caller, project_id = exchange.known_caller, form.text("project") or None
        cents = _cents(form.text("dollars"))
        await self._spend.set(caller.organization_id, project_id, cents, by=caller)
        await self._shell.go(exchange, "/limits", "The budget is in force within about a second.")

    async def remove_spend(self, exchange: Exchange, form: Form) -> None:
        caller, project_id = exchange.known_caller, form.text("project") or None
        await self._spend.remove(caller.organization_id, project_id, by=caller)
        await self._shell.go(exchange, "/limits", "The budget is removed.")


def _rate(form: Form, name: str) -> int | None:
    """None where the installation's setting counts."""
    said = form.number(name)
    if said is not None and said > LARGEST:
        raise InvalidRequest(f"“{NAMES[name]}” must be at most {LARGEST:,}.", param=name)
    return said


def _cents(said: str) -> int:
    plain = said.removeprefix("$").replace(",", "")
    if not re.fullmatch(r"\d{1,12}(\.\d{1,2})?", plain, re.ASCII):
        raise InvalidRequest(
            "A budget is an amount in dollars and whole cents, as 25 or 0.50.", param="dollars"
        )
    cents = int(Decimal(plain) * 100)
    if cents > MOST_CENTS:
        raise InvalidRequest("A budget is at most $100,000,000.", param="dollars")
    return cents
