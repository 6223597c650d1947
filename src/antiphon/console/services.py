"""What pages are made of: the services of the administration, and what else there is to show."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from antiphon.access.oidc import Provider
from antiphon.api.admin.table import Administration
from antiphon.catalogue.catalogue import Catalogue
from antiphon.catalogue.listing import Listing
from antiphon.moderation.evidence import Evidence
from antiphon.settings import Settings
from antiphon.wire.status import Status


class Services(Administration, frozen=True, kw_only=True):
    """`listing` gives what models' names mean now and next, `status` what `/status` shows."""

    settings: Settings
    catalogue: Callable[[], Catalogue]
    listing: Callable[[], Sequence[Listing]]
    evidence: Evidence
    """What is kept of a request, for as long as it is."""
    status: Callable[[], Awaitable[Status]]
    provider: Provider | None = None
    """Of sign-ins, besides passwords."""
