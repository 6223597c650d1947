"""Every route of the console, from services that are built."""

from __future__ import annotations

from antiphon.api.routes import Route
from antiphon.console.assets import assets
from antiphon.console.pages.audit import AuditPages
from antiphon.console.pages.catalogue import CataloguePages
from antiphon.console.pages.costs import CostPages
from antiphon.console.pages.data import DataPages
from antiphon.console.pages.dedicated import DedicatedPages
from antiphon.console.pages.exports import ExportPages
from antiphon.console.pages.flags import FlagPages
from antiphon.console.pages.instance import InstancePages
from antiphon.console.pages.keys import KeyPages
from antiphon.console.pages.limits import LimitPages
from antiphon.console.pages.logs import LogPages
from antiphon.console.pages.members import MemberPages
from antiphon.console.pages.organizations import OrganizationPages
from antiphon.console.pages.overview import OverviewPage
from antiphon.console.pages.playground import PlaygroundPage
from antiphon.console.pages.projects import ProjectPages
from antiphon.console.pages.sign_in import SignInPages
from antiphon.console.pages.speech import SpeechPage
from antiphon.console.pages.uptime import UptimePages
from antiphon.console.pages.usage import UsagePages
from antiphon.console.pages.vouched import VouchedPages
from antiphon.console.services import Services
from antiphon.console.shell import Shell


def rows(services: Services) -> list[Route]:
    """What `api.edge` serves besides the API."""
    shell, provider = Shell(services.settings, services.access), services.provider
    organizations = OrganizationPages(shell, services)
    pages = (
        SignInPages(shell, services, organizations),
        organizations,
        OverviewPage(shell, services),
        PlaygroundPage(shell, services),
        SpeechPage(shell, services),
        LogPages(shell, services),
        UsagePages(shell, services),
        CostPages(shell, services),
        LimitPages(shell, services),
        KeyPages(shell, services),
        ProjectPages(shell, services),
        MemberPages(shell, services),
        CataloguePages(shell, services),
        DedicatedPages(shell, services),
        UptimePages(shell, services),
        InstancePages(shell, services),
        DataPages(shell, services),
        ExportPages(shell, services),
        FlagPages(shell, services),
        AuditPages(shell, services),
    )
    rows = [asset.row() for asset in assets()]
    rows += [row for page in pages for row in page.rows()]
    if provider is not None:
        rows += VouchedPages(shell, services, organizations, provider).rows()
    return rows
