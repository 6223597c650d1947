"""What pages are made of: the services of the administration, and what else there is to show."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence

from antiphon.access.oidc import Provider
from antiphon.api.admin.table import Administration
from antiphon.api.routes import Route
from antiphon.catalogue.catalogue import Catalogue
from antiphon.catalogue.changes import Changes
from antiphon.catalogue.listing import Listing
from antiphon.console.jobs import Jobs
from antiphon.console.shell import Shell
from antiphon.moderation.evidence import Evidence
from antiphon.privacy.content import Content
from antiphon.settings import Settings
from antiphon.wire.status import Status


class Services(Administration, frozen=True, kw_only=True):
    """`listing` gives what models' names mean now and next, which `changes` changes, `status` what `/status`
    shows.

    `jobs` is long work that pages ask for, `content` what is kept of requests, and `evidence` that of one.
    """

    settings: Settings
    catalogue: Callable[[], Catalogue]
    listing: Callable[[], Sequence[Listing]]
    evidence: Evidence
    changes: Changes
    jobs: Jobs
    content: Content
    status: Callable[[], Awaitable[Status]]
    provider: Provider | None = None
    """Of sign-ins, besides passwords."""


class Pages(ABC):
    """What a file of `pages` defines: rows of the table, made of the shell that all share and of services."""

    def __init__(self, shell: Shell, services: Services) -> None:
        self._shell = shell
        self._services = services

    @abstractmethod
    def rows(self) -> list[Route]: ...
