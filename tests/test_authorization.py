"""Who may do what: every role at every operation that is served, with ids of its own, of others, of nobody.

The operations come from the served document: one that `NEEDS` does not list fails the test.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import FormData
from sqlalchemy import func, select

from admin_service import House, administrating
from antiphon.access.api_key import Realm
from antiphon.admission.store import SpendLimits
from antiphon.moderation.monitor import Seen
from antiphon.moderation.policy import Found
from antiphon.operations.incidents import Incidents
from antiphon.operations.moderating import Moderating
from antiphon.operations.orders import Order
from antiphon.privacy.consent import CURRENT
from antiphon.status.incidents import New
from antiphon.storage.audit_proof import verify
from antiphon.storage.database import Database
from antiphon.storage.tables import audit_log
from antiphon.values import Caller
from service import CHAT, SPEECH
from stored_completions import completion

NEEDS = {
    "POST /v1/chat/completions": "chat",
    "POST /v1/engines/{model}/chat/completions": "chat",
    "POST /v1/chat/completions/render": "chat",
    "GET /v1/chat/completions": "chat",
    "GET /v1/chat/completions/{completion_id}": "chat",
    "POST /v1/chat/completions/{completion_id}": "chat",
    "DELETE /v1/chat/completions/{completion_id}": "chat",
    "GET /v1/chat/completions/{completion_id}/messages": "chat",
    "POST /v1/completions": "chat",
    "POST /v1/engines/{model}/completions": "chat",
    "POST /v1/embeddings": "chat",
    "POST /v1/engines/{model}/embeddings": "chat",
    "POST /v1/audio/transcriptions": "audio",
    "POST /v1/audio/translations": "audio",
    "GET /v1/models": "models",
    "GET /v1/models/{model}": "models",
    "GET /models": "models",
    "GET /healthz": "",
    "GET /readyz": "",
    "GET /metrics": "",
    "GET /openapi.json": "",
    "GET /docs/api": "",
    "POST /v1/organization/projects": "org.write",
    "GET /v1/organization/projects": "org.read",
    "GET /v1/organization/projects/{project_id}": "org.read",
    "POST /v1/organization/projects/{project_id}": "org.write",
    "POST /v1/organization/projects/{project_id}/archive": "org.write",
    "GET /v1/organization/projects/{project_id}/api_keys": "org.read",
    "GET /v1/organization/projects/{project_id}/api_keys/{api_key_id}": "org.read",
    "POST /v1/organization/projects/{project_id}/api_keys/{api_key_id}": "project.write",
    "DELETE /v1/organization/projects/{project_id}/api_keys/{api_key_id}": "project.write",
    "POST /v1/organization/projects/{project_id}/api_keys/{api_key_id}/rotate": "project.write",
    "POST /v1/organization/projects/{project_id}/service_accounts": "project.write",
    "GET /v1/organization/projects/{project_id}/service_accounts": "org.read",
    "GET /v1/organization/projects/{project_id}/service_accounts/{service_account_id}": "org.read",
    "POST /v1/organization/projects/{project_id}/service_accounts/{service_account_id}": "project.write",
    "DELETE /v1/organization/projects/{project_id}/service_accounts/{service_account_id}": "project.write",
    "POST /v1/organization/projects/{project_id}/service_accounts/{service_account_id}/api_keys": (
        "project.write"
    ),
    "GET /v1/organization/projects/{project_id}/rate_limits": "org.read",
    "POST /v1/organization/projects/{project_id}/rate_limits/{rate_limit_id}": "org.write",
    "GET /v1/organization/projects/{project_id}/spend_limit": "org.read",
    "POST /v1/organization/projects/{project_id}/spend_limit": "org.write",
    "DELETE /v1/organization/projects/{project_id}/spend_limit": "org.write",
    "GET /v1/organization/spend_limit": "org.read",
    "POST /v1/organization/spend_limit": "org.write",
    "DELETE /v1/organization/spend_limit": "org.write",
    "POST /v1/organization/admin_api_keys": "org.write",
    "GET /v1/organization/admin_api_keys": "org.read",
    "GET /v1/organization/admin_api_keys/{key_id}": "org.read",
    "DELETE /v1/organization/admin_api_keys/{key_id}": "org.write",
    "POST /v1/organization/admin_api_keys/{key_id}/rotate": "org.write",
    "GET /v1/organization/users": "org.read",
    "GET /v1/organization/users/{user_id}": "org.read",
    "POST /v1/organization/users/{user_id}": "org.write",
    "DELETE /v1/organization/users/{user_id}": "org.write",
    "GET /v1/organization/usage/completions": "org.read",
    "GET /v1/organization/usage/audio_transcriptions": "org.read",
    "GET /v1/organization/usage/embeddings": "org.read",
    "GET /v1/organization/usage/{kind}": "org.read",
    "GET /v1/organization/costs": "org.read",
    "POST /v1/organization/dedicated_instances": "org.write",
    "GET /v1/organization/dedicated_instances": "org.read",
    "GET /v1/organization/dedicated_instances/calendar": "org.read",
    "GET /v1/organization/dedicated_instances/{instance_id}": "org.read",
    "POST /v1/organization/dedicated_instances/{instance_id}": "org.write",
    "DELETE /v1/organization/dedicated_instances/{instance_id}": "org.write",
    "GET /v1/organization/data_retention": "org.read",
    "POST /v1/organization/data_retention": "org.write",
    "GET /v1/organization/projects/{project_id}/data_retention": "org.read",
    "POST /v1/organization/projects/{project_id}/data_retention": "org.write",
    "GET /v1/organization/training_opt_in": "org.read",
    "POST /v1/organization/training_opt_in": "org.write",
    "GET /v1/organization/training_opt_in/decisions": "org.read",
    "GET /v1/organization/audit_logs": "org.read",
    "POST /v1/operator/organizations": "operator",
    "GET /v1/operator/organizations": "operator",
    "GET /v1/operator/organizations/{organization_id}": "operator",
    "POST /v1/operator/organizations/{organization_id}/credits": "operator",
    "GET /v1/operator/organizations/{organization_id}/credits": "operator",
    "POST /v1/operator/incidents": "operator",
    "GET /v1/operator/incidents": "operator",
    "POST /v1/operator/incidents/{incident_id}/notes": "operator",
    "POST /v1/operator/incidents/{incident_id}/resolve": "operator",
    "POST /v1/moderations": "chat",
    "GET /v1/moderations/scorers": "chat",
    "GET /v1/organization/flags": "org.read",
    "GET /v1/organization/flags/{flag_id}": "org.read",
    "GET /v1/organization/flags/{flag_id}/evidence": "org.write",
    "POST /v1/organization/flags/{flag_id}/appeal": "org.write",
    "GET /v1/organization/moderation": "org.read",
    "GET /v1/operator/flags": "operator",
    "POST /v1/operator/flags/{flag_id}/resolve": "operator",
    "POST /v1/operator/organizations/{organization_id}/moderation_thresholds": "operator",
    "POST /v1/operator/organizations/{organization_id}/suspend": "operator",
    "POST /v1/operator/organizations/{organization_id}/resume": "operator",
}
"""Every operation, with what a key must be allowed; nothing where no key is asked for."""

_READER = {"models", "org.read"}
_OWNER = _READER | {"project.write", "org.write"}
ROLES: Mapping[str, set[str] | None] = {
    "anonymous": None,
    "revoked": None,
    "expired": None,
    "inference": {"chat", "audio", "models"},
    "read-only": {"models"},
    "reader": _READER,
    "member": _READER | {"project.write"},
    "owner": _OWNER,
    "outsider": _OWNER,
    "operator": _OWNER | {"operator"},
}
"""What each role may do; None where there is no valid key."""

_CHAT_BODY = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hello"}]}
BODIES: Mapping[str, Any] = {
    "POST /v1/chat/completions": _CHAT_BODY,
    "POST /v1/engines/{model}/chat/completions": {"messages": _CHAT_BODY["messages"]},
    "POST /v1/chat/completions/render": _CHAT_BODY,
    "POST /v1/chat/completions/{completion_id}": {"metadata": {}},
    "POST /v1/completions": {"model": "gpt-3.5-turbo", "prompt": "Hello"},
    "POST /v1/engines/{model}/completions": {"prompt": "Hello"},
    "POST /v1/embeddings": {"model": "gpt-3.5-turbo", "input": "Hello"},
    "POST /v1/engines/{model}/embeddings": {"input": "Hello"},
    "POST /v1/organization/projects": {"name": "{unique}"},
    "POST /v1/organization/projects/{project_id}": {"name": "{unique}"},
    "POST /v1/organization/projects/{project_id}/api_keys/{api_key_id}": {"name": "b"},
    "POST /v1/organization/projects/{project_id}/service_accounts": {"name": "robot"},
    "POST /v1/organization/projects/{project_id}/service_accounts/{service_account_id}": {"name": "b"},
    "POST /v1/organization/projects/{project_id}/service_accounts/{service_account_id}/api_keys": {},
    "POST /v1/organization/projects/{project_id}/rate_limits/{rate_limit_id}": {
        "max_requests_per_1_minute": 5
    },
    "POST /v1/organization/projects/{project_id}/spend_limit": {
        "threshold_amount": 100,
        "currency": "USD",
        "interval": "month",
    },
    "POST /v1/organization/spend_limit": {"threshold_amount": 100, "currency": "USD", "interval": "month"},
    "POST /v1/organization/data_retention": {"retention_type": "modified_abuse_monitoring"},
    "POST /v1/organization/projects/{project_id}/data_retention": {"retention_type": "none", "days": 1},
    "POST /v1/organization/training_opt_in": {
        "opted_in": True,
        "text_version": CURRENT,
        "given_by": "Ann",
    },
    "POST /v1/organization/admin_api_keys": {"name": "a", "role": "reader"},
    "POST /v1/organization/users/{user_id}": {"role": "reader"},
    "POST /v1/organization/dedicated_instances": {"model": SPEECH},
    "POST /v1/organization/dedicated_instances/{instance_id}": {"load": 2},
    "POST /v1/operator/organizations": {"name": "{unique}"},
    "POST /v1/operator/organizations/{organization_id}/credits": {"amount": "1"},
    "POST /v1/operator/incidents": {"title": "{unique}", "text": "We look at it."},
    "POST /v1/operator/incidents/{incident_id}/notes": {"text": "Found."},
    "POST /v1/operator/incidents/{incident_id}/resolve": {"text": "Repaired."},
    "POST /v1/moderations": {"input": "Hello"},
    "POST /v1/organization/flags/{flag_id}/appeal": {"text": "It was a joke."},
    "POST /v1/operator/flags/{flag_id}/resolve": {"outcome": "upheld"},
    "POST /v1/operator/organizations/{organization_id}/moderation_thresholds": {
        "category": "hate",
        "action": "alert",
        "score": 0.9,
    },
    "POST /v1/operator/organizations/{organization_id}/suspend": {"reason": "spam"},
}
NOT_SERVED = {"POST /v1/embeddings", "POST /v1/engines/{model}/embeddings"}
"""What no model does here: who may ask for it is told so."""
MISSING = {
    "model": "no-such-model",
    "kind": "none",
    "completion_id": "chatcmpl-0000000000000000",
    "project_id": "proj_0000000000000000",
    "api_key_id": "key_0000000000000000",
    "service_account_id": "svc_acct_0000000000000000",
    "rate_limit_id": "rl-none",
    "key_id": "key_0000000000000000",
    "user_id": "user-0000000000000000",
    "instance_id": "dedicated_0000000000000000",
    "organization_id": "org-0000000000000000",
    "incident_id": "incident_0000000000000000",
    "flag_id": "flag_000000000000000000000000000000",
}
CANARY = "canary"
"""Stands in the name of everything that is the other organization's."""

Ids = dict[str, str]


class Matrix:
    """Two organizations, a key for each role, and the answers that do not agree with `NEEDS`."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.world = house.world
        self.keys: dict[str, str] = {}
        self.ours: Ids = {}
        self.theirs: Ids = {}
        self.cells = 0
        self.wrong: list[str] = []
        self._unique = 0

    async def prepare(self) -> None:
        ours, world = Realm(self.house.organization.id), self.world
        others = await world.organization(CANARY)
        await self.house.equip(cpus=10_000, memory=1 << 50)
        self.ours = await self.objects(ours.organization_id or "", "ours")
        self.theirs = await self.objects(others.id, CANARY)
        self.keys = {"owner": self.house.owner, "operator": self.house.operator}
        for role, realm, options in (
            ("inference", self.house.realm, {}),
            ("read-only", self.house.realm, {"scopes": ["models"]}),
            ("reader", ours, {"role": "reader"}),
            ("member", ours, {"role": "member"}),
            ("outsider", Realm(others.id), {}),
            ("expired", ours, {"expires_in_seconds": 1}),
            ("revoked", ours, {}),
        ):
            key, self.keys[role] = await world.key(realm, f"{role} key", **options)
        await world.access.keys.revoke(ours, key.id, by=None)
        world.wall += 2

    async def objects(self, organization_id: str, name: str) -> Ids:
        """One of everything that an organization can have, new."""
        access, self._unique = self.world.access, self._unique + 1
        unique = f"{name}-{self._unique}"
        project = await access.projects.create(organization_id, unique, by=None)
        account, made = await access.service_accounts.create(organization_id, project.id, unique, by=None)
        assert made is not None
        admin, _ = await self.world.key(Realm(organization_id), unique)
        user = await access.members.add(organization_id, f"{unique}@example.com", unique, "member", by=None)
        await self.limit_spending(organization_id, project.id)
        order = Order(model=SPEECH, name=unique)
        instance = await self.house.dedicated.create(organization_id, order, by=None)
        new = New(title=unique, text="We look at it.")
        incident = await Incidents(self.world.database, 99.9, lambda: self.world.wall).open(new, by=None)
        return {
            "model": CHAT,
            "kind": "images",
            "completion_id": self.store(organization_id, project.id, unique),
            "project_id": project.id,
            "api_key_id": made[0].id,
            "service_account_id": account.id,
            "rate_limit_id": f"rl-{CHAT}",
            "key_id": admin.id,
            "user_id": user.id,
            "instance_id": instance.id,
            "organization_id": organization_id,
            "incident_id": incident.id,
            "flag_id": await self.raised(organization_id, unique),
        }

    def store(self, organization_id: str, project_id: str, name: str) -> str:
        """A completion that was stored: of the project whose keys are tried, if the organization is ours."""
        stored = completion(f"chatcmpl-{self._unique}", content=name)
        ours = organization_id == self.house.organization.id
        whose = (organization_id, self.house.project.id if ours else project_id)
        self.house.stored.kept[stored.id] = (*whose, stored)
        return stored.id

    async def raised(self, organization_id: str, request_id: str) -> str:
        """A new flag."""
        caller = Caller(key_id="key_1", organization_id=organization_id, organization="")
        found = [Found("input", "hate", 0.9, "rules")]
        seen = Seen(request_id=request_id, caller=caller, snapshot=CHAT, findings=found, at=self.world.wall)
        flag = await Moderating(self.world.database, lambda: self.world.wall).act(seen)
        assert flag is not None
        return flag.id

    async def limit_spending(self, organization_id: str, project_id: str) -> None:
        limits = SpendLimits(self.world.database)
        for scope in (None, project_id):
            await limits.set(organization_id, scope, 1_000_000, by=None)

    async def ask(self, role: str, operation: str, ids: Ids) -> tuple[int, bytes]:
        method, _, path = operation.partition(" ")
        for name, value in ids.items():
            path = path.replace(f"{{{name}}}", value)
        if "usage" in path or "costs" in path:
            path += f"?start_time={int(self.world.wall)}"
        if path.endswith("/calendar"):
            path += f"?model={SPEECH}"
        headers = {"openai-organization": self.house.organization.id} if role == "operator" else {}
        if role != "anonymous":
            headers["authorization"] = f"Bearer {self.keys[role]}"
        self._unique += 1
        body = msgspec.json.encode(BODIES.get(operation)).replace(b"{unique}", b"n%d" % self._unique)
        options: dict[str, Any] = {}
        if operation in BODIES:
            options = {"data": body, "headers": {**headers, "content-type": "application/json"}}
        else:
            options = {"headers": headers}
        if "/audio/" in path:
            form = FormData({"model": "whisper-1"})
            form.add_field("file", b"a recording", filename="a.wav")
            options["data"] = form
        self.cells += 1
        url = f"http://127.0.0.1:{self.house.service.port}{path}"
        async with self.house.service.session.request(method, url, **options) as response:
            return response.status, await response.read()

    def expect(self, what: str, holds: bool, answer: tuple[int, bytes]) -> None:
        if not holds:
            self.wrong.append(f"{what}: {answer[0]} {answer[1][:200]!r}")

    async def check(self, role: str, operation: str) -> None:
        """Ask for what is the role's own, what is somebody else's, and what is not there."""
        needs, allowed = NEEDS[operation], ROLES[role]
        names = re.findall(r"{(\w+)}", operation)
        own, other = (self.theirs, self.ours) if role == "outsider" else (self.ours, self.theirs)
        if needs in (allowed or ()) and not operation.startswith("GET "):
            # What is changed or removed is nobody else's in this test.
            own = await self.objects(own["organization_id"], CANARY if role == "outsider" else "ours")
        cases = {"own": own}
        if names:
            cases |= {"other": other, "missing": MISSING}
        leaf = names[-1] if names else None
        if leaf and len(names) > 1:
            cases |= {"strayed": own | {leaf: other[leaf]}, "lost": own | {leaf: MISSING[leaf]}}
        answers = {case: await self.ask(role, operation, ids) for case, ids in cases.items()}
        for case, answer in answers.items():
            what = f"{role}: {operation}: {case}"
            if not needs:
                self.expect(what, answer[0] in (200, 503), answer)
            elif allowed is None:
                self.expect(what, answer[0] == 401, answer)
            elif needs not in allowed:
                self.expect(what, answer[0] == 403, answer)
                self.expect(f"{what}: as own", answer == answers["own"], answer)
            else:
                wanted = self.wanted(case, leaf, operation)
                if wanted == 200 and operation in NOT_SERVED:
                    wanted = 400
                self.expect(what, answer[0] == wanted, answer)
            leaks = role not in ("outsider", "operator") and CANARY.encode() in answer[1]
            self.expect(f"{what}: leaks", not leaks, answer)
        for one, same in (("other", "missing"), ("strayed", "lost")):
            if one in answers and self.wanted(one, leaf, operation) == 404:
                self.expect(
                    f"{role}: {operation}: {one} is {same}", answers[one] == answers[same], answers[one]
                )

    def wanted(self, case: str, leaf: str | None, operation: str) -> int:
        """The status for who may ask. Some things belong to no organization: others' are one's own."""
        shared = leaf in ("model", "kind", "organization_id", "rate_limit_id") or "/operator/" in operation
        there = case == "own" or (shared and case == ("strayed" if leaf == "rate_limit_id" else "other"))
        return 200 if there else 404


@pytest.fixture
async def matrix(tmp_path: Path, migrated_sqlite: Path) -> AsyncIterator[Matrix]:
    async with administrating(tmp_path, migrated_sqlite) as house:
        matrix = Matrix(house)
        await matrix.prepare()
        yield matrix


@pytest.mark.requirement("R1")
async def test_every_role_at_every_operation(
    matrix: Matrix, record_property: Callable[[str, object], None]
) -> None:
    status, _, document = await matrix.house.service.call("GET", "/openapi.json")
    assert status == 200
    served = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert served == set(NEEDS)
    for operation in sorted(served):
        for role in ROLES:
            await matrix.check(role, operation)
    record_property("cells", matrix.cells)
    assert matrix.wrong == []
    assert matrix.cells > 1200


async def test_every_operation_that_changes_something_is_in_the_audit_log(matrix: Matrix) -> None:
    """With the key that asked; and the log is whole in the end."""
    database, asked = matrix.world.database, 0
    for operation, needs in NEEDS.items():
        if operation.startswith("GET ") or needs not in ("org.write", "project.write", "operator"):
            continue
        role = "operator" if needs == "operator" else "owner"
        own = await matrix.objects(matrix.house.organization.id, "audited")
        before = await rows_of_keys(database)
        status, answer = await matrix.ask(role, operation, own)
        assert status == 200, (operation, answer)
        assert await rows_of_keys(database) > before, f"{operation} leaves nothing in the audit log"
        asked += 1
    assert asked >= 25
    async with database.connect() as connection:
        assert await connection.run_sync(verify, database.pepper) == []


async def rows_of_keys(database: Database) -> int:
    """Rows of the audit log about what was done with a key, and not by this test itself."""
    query = select(func.count()).select_from(audit_log).where(audit_log.c.actor_key_id.is_not(None))
    async with database.connect() as connection:
        return await connection.scalar(query) or 0
