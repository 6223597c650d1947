"""The official Python client's `admin.organization` against the administration API on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI, AuthenticationError, BadRequestError, NotFoundError, PermissionDeniedError

from admin_service import House
from service import CHAT, SPEECH

DAY = 1_793_491_200
"""1 November 2026, 0:00 UTC."""


def client_of(house: House, secret: str) -> AsyncOpenAI:
    url = f"http://127.0.0.1:{house.service.port}/v1"
    return AsyncOpenAI(admin_api_key=secret, api_key="sk-none", base_url=url)


@pytest.fixture
async def client(house: House) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(house, house.owner) as client:
        yield client


async def test_projects(client: AsyncOpenAI) -> None:
    projects = client.admin.organization.projects
    made = await projects.create(name="till")
    assert (made.object, made.name, made.status) == ("organization.project", "till", "active")
    assert await projects.retrieve(made.id) == made
    assert (await projects.update(made.id, name="desk")).name == "desk"
    assert [project.name async for project in projects.list(limit=1)] == ["shop", "desk"]
    assert (await projects.archive(made.id)).status == "archived"
    assert [project.name async for project in projects.list(include_archived=True)] == ["shop", "desk"]


async def test_service_accounts_and_project_keys(house: House, client: AsyncOpenAI) -> None:
    project = house.project.id
    accounts = client.admin.organization.projects.service_accounts
    keys = client.admin.organization.projects.api_keys
    made = await accounts.create(project, name="robot")
    assert made.api_key is not None
    async with AsyncOpenAI(api_key=made.api_key.value, base_url=client.base_url, max_retries=0) as user:
        assert (await user.models.list()).data
    assert (await accounts.retrieve(made.id, project_id=project)).name == "robot"
    assert (await accounts.update(made.id, project_id=project, role="owner")).role == "owner"
    second = await accounts.api_keys.create(made.id, project_id=project, name="b", scopes=["chat"])
    assert second.value.startswith("sk-")
    assert [account.id async for account in accounts.list(project)] == [made.id]
    found = [key async for key in keys.list(project, limit=1)]
    assert {key.id for key in found} == {made.api_key.id, second.id}
    shown = await keys.retrieve(second.id, project_id=project)
    assert shown.owner.service_account is not None and shown.owner.service_account.id == made.id
    changed = await keys.update(second.id, project_id=project, expires_in_seconds=60, scopes=["models"])
    assert changed.expires_at == int(house.world.wall) + 60
    assert (await keys.delete(second.id, project_id=project)).deleted
    assert (await accounts.delete(made.id, project_id=project)).deleted
    with pytest.raises(NotFoundError):
        await keys.retrieve(second.id, project_id=project)


async def test_limits(house: House, client: AsyncOpenAI) -> None:
    project = house.project.id
    rates = client.admin.organization.projects.rate_limits
    changed = await rates.update_rate_limit(f"rl-{CHAT}", project_id=project, max_requests_per_1_minute=7)
    assert (changed.model, changed.max_requests_per_1_minute) == (CHAT, 7)
    assert changed in [limit async for limit in rates.list_rate_limits(project, limit=1)]
    organization, projects = client.admin.organization.spend_limit, client.admin.organization.projects
    limit = await organization.update(threshold_amount=1000, currency="USD", interval="month")
    assert (limit.object, limit.threshold_amount) == ("organization.spend_limit", 1000)
    assert await organization.retrieve() == limit
    assert (await organization.delete()).deleted
    own = await projects.spend_limit.update(project, threshold_amount=5, currency="USD", interval="month")
    assert (own.object, await projects.spend_limit.retrieve(project)) == ("project.spend_limit", own)
    assert (await projects.spend_limit.delete(project)).deleted


async def test_data_retention(house: House, client: AsyncOpenAI) -> None:
    project, whole = house.project.id, client.admin.organization.data_retention
    own = client.admin.organization.projects.data_retention
    made = await whole.update(retention_type="zero_data_retention")
    assert (made.object, made.type) == ("organization.data_retention", "zero_data_retention")
    assert await whole.retrieve() == made
    assert (await own.retrieve(project)).type == "organization_default"
    changed = await own.update(project, retention_type="none", extra_body={"days": 3})
    assert (changed.object, changed.type) == ("project.data_retention", "none")
    assert (changed.model_extra or {})["days"] == 3
    assert await own.retrieve(project) == changed
    assert (await own.update(project, retention_type="organization_default")).to_dict() == {
        "object": "project.data_retention",
        "type": "organization_default",
        "days": 0,
    }


async def test_admin_keys(house: House, client: AsyncOpenAI) -> None:
    keys = client.admin.organization.admin_api_keys
    made = await keys.create(name="second", expires_in_seconds=60)
    async with client_of(house, made.value) as second:
        assert (await second.admin.organization.admin_api_keys.retrieve(made.id)).name == "second"
    assert [key.name async for key in keys.list(limit=1, order="desc")][0] in ("second", "owner")
    assert (await keys.delete(made.id)).deleted


async def test_users(house: House, client: AsyncOpenAI) -> None:
    users = client.admin.organization.users
    member = await house.world.access.members.add(house.organization.id, "a@b.c", "Ann", "member", by=None)
    assert [user.email async for user in users.list(emails=["a@b.c"])] == ["a@b.c"]
    assert (await users.update(member.id, role="reader")).role == "reader"
    assert (await users.retrieve(member.id)).role == "reader"
    assert (await users.delete(member.id)).deleted


async def test_usage_and_costs(house: House, client: AsyncOpenAI) -> None:
    await house.use(DAY, input_tokens=10, output_tokens=5, input_cost=20_000, output_cost=10_000)
    await house.use(DAY, task="speech", seconds=9, audio_cost=900_000)
    usage, end = client.admin.organization.usage, DAY + 2 * 86_400
    page = await usage.completions(
        start_time=DAY, end_time=end, limit=1, group_by=["project_id", "model"], models=["chat-1"]
    )
    [result] = page.data[0].results
    assert result.object == "organization.usage.completions.result"
    assert (result.input_tokens, result.output_tokens, result.project_id) == (10, 5, house.project.id)
    assert page.has_more and page.next_page
    rest = await usage.completions(start_time=DAY, end_time=end, limit=1, page=page.next_page)
    assert not rest.has_more
    heard = await usage.audio_transcriptions(start_time=DAY, end_time=end, bucket_width="1h", limit=1)
    [spoken] = heard.data[0].results
    assert spoken.object == "organization.usage.audio_transcriptions.result" and spoken.seconds == 9
    costs = await usage.costs(start_time=DAY, end_time=end, group_by=["line_item"])
    amounts = {}
    for item in costs.data[0].results:
        assert item.object == "organization.costs.result" and item.amount is not None
        amounts[item.line_item] = item.amount.value
    assert amounts == {"chat-1, input": 0.00002, "chat-1, output": 0.00001, f"{SPEECH}, audio": 0.0009}
    assert (await usage.embeddings(start_time=DAY, end_time=end)).data[0].results == []
    assert (await usage.images(start_time=DAY, end_time=end, sizes=["256x256"])).data[0].results == []


async def test_audit_logs(house: House, client: AsyncOpenAI) -> None:
    house.world.wall += 1
    await client.admin.organization.projects.create(name="till")
    logs = client.admin.organization.audit_logs
    page = await logs.list(
        effective_at={"gte": int(house.world.wall)}, event_types=["project.created"], limit=1
    )
    [event] = page.data
    assert event.project_created is not None and event.project_created.data is not None
    assert (event.type, event.project_created.data.name) == ("project.created", "till")
    assert event.actor is not None and event.actor.type == "api_key"
    assert len([event async for event in logs.list(limit=2)]) > 3


async def test_errors_have_the_classes_that_clients_expect(house: House, client: AsyncOpenAI) -> None:
    projects = client.admin.organization.projects
    with pytest.raises(NotFoundError):
        await projects.retrieve("proj_none")
    with pytest.raises(BadRequestError) as wrong:
        await projects.create(name="")
    assert wrong.value.param == "name"
    _, secret = await house.world.key(house.realm)
    async with client_of(house, secret) as project_key:
        with pytest.raises(PermissionDeniedError) as refused:
            await project_key.admin.organization.projects.retrieve(house.project.id)
    assert refused.value.code == "insufficient_permissions"
    async with client_of(house, "sk-antiphon-none") as nobody:
        with pytest.raises(AuthenticationError):
            await nobody.admin.organization.projects.retrieve(house.project.id)
