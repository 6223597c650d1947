"""The rows of the administration API: every one is closed but to the permission that it names."""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from antiphon.access.access import Access
from antiphon.admission.gate import Gate
from antiphon.admission.store import RateLimits, SpendLimits
from antiphon.api.admin.admin_keys import AdminKeysApi
from antiphon.api.admin.audit_logs import AuditLogsApi
from antiphon.api.admin.data_retention import DataRetentionApi
from antiphon.api.admin.dedicated import DedicatedApi
from antiphon.api.admin.flags import FlagsApi
from antiphon.api.admin.incidents import IncidentsApi
from antiphon.api.admin.operator import OperatorApi
from antiphon.api.admin.project_keys import ProjectKeysApi
from antiphon.api.admin.projects import ProjectsApi
from antiphon.api.admin.rate_limits import RateLimitsApi
from antiphon.api.admin.service_accounts import ServiceAccountsApi
from antiphon.api.admin.spend_limits import SpendLimitsApi
from antiphon.api.admin.training import TrainingApi
from antiphon.api.admin.usage import UsageApi
from antiphon.api.admin.users import UsersApi
from antiphon.api.moderations import ModerationApi
from antiphon.api.routes import Route
from antiphon.moderation.scoring import Panel
from antiphon.moderation.thresholds import ThresholdStore
from antiphon.operations.dedicated import Dedicated
from antiphon.operations.incidents import Incidents
from antiphon.operations.moderating import Moderating
from antiphon.privacy.consent import Consents
from antiphon.privacy.policies import Policies
from antiphon.storage.database import Database


class Moderation(msgspec.Struct, frozen=True):
    """What scores texts, and what follows from it."""

    panel: Panel
    gate: Gate
    moderating: Moderating
    thresholds: ThresholdStore


class Administration(msgspec.Struct, frozen=True, kw_only=True):
    """The services behind these rows. `snapshots` gives those served, `clock` is in unix seconds."""

    access: Access
    rate_limits: RateLimits
    spend_limits: SpendLimits
    snapshots: Callable[[], Collection[str]]
    dedicated: Dedicated
    policies: Policies
    consents: Consents
    incidents: Incidents
    database: Database
    clock: Callable[[], float]
    moderation: Moderation


def rows(services: Administration) -> list[Route]:
    """Every route of the administration API."""
    access, database, clock = services.access, services.database, services.clock
    return [
        *ProjectsApi(access.projects).rows(),
        *ProjectKeysApi(access.keys, access.projects).rows(),
        *ServiceAccountsApi(access.service_accounts, access.keys).rows(),
        *AdminKeysApi(access.keys).rows(),
        *UsersApi(access.members).rows(),
        *RateLimitsApi(services.rate_limits, access.projects, services.snapshots).rows(),
        *SpendLimitsApi(services.spend_limits).rows(),
        *UsageApi(database, clock).rows(),
        *DedicatedApi(services.dedicated, clock).rows(),
        *DataRetentionApi(services.policies).rows(),
        *TrainingApi(services.consents).rows(),
        *AuditLogsApi(access.audit).rows(),
        *OperatorApi(access.organizations, services.policies, database, clock).rows(),
        *IncidentsApi(services.incidents).rows(),
        *ModerationApi(services.moderation.panel, services.moderation.gate).rows(),
        *FlagsApi(services.moderation.moderating, services.moderation.thresholds).rows(),
    ]
