"""For how long content is kept: who follows whom, what each type means, and what is told of a change."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from antiphon.errors import InvalidRequest, NotFound
from antiphon.privacy.policies import DEFAULT, Policies, Setting, nothing_is_kept, setting
from antiphon.values import Policy
from tenants import World

ZERO, MODIFIED = Policy(days=0, stores=False), Policy(days=0)


class Shortened:
    """A `Shorten` that remembers what it was told, and fails as often as it is asked to."""

    def __init__(self) -> None:
        self.told: list[tuple[str | None, int, set[str], bool]] = []
        self.failures = 0

    def __call__(
        self,
        connection: Connection,
        organization_id: str,
        project_id: str | None,
        days: int,
        now: float,
        *,
        but: Collection[str] = (),
        stored: bool = False,
    ) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the disk is gone")
        assert connection.in_transaction()
        self.told.append((project_id, days, set(but), stored))

    def days(self, project_id: str) -> int:
        """For how many days content of a project is kept at most, by all that was told."""
        told = [
            days for one, days, but, _ in self.told if one == project_id or not (one or project_id in but)
        ]
        return min(told)


def policies(world: World, shorten: Shortened | None = None) -> Policies:
    return Policies(world.database, lambda: world.wall, shorten or nothing_is_kept)


@pytest.mark.parametrize(
    ("type", "days", "policy"),
    [
        ("none", None, Policy()),
        ("none", 1, Policy(days=1)),
        ("none", 30, Policy(days=30)),
        ("zero_data_retention", None, ZERO),
        ("enhanced_zero_data_retention", None, ZERO),
        ("modified_abuse_monitoring", None, MODIFIED),
        ("enhanced_modified_abuse_monitoring", None, MODIFIED),
    ],
)
async def test_what_each_type_means(world: World, type: str, days: int | None, policy: Policy) -> None:
    acme = await world.organization()
    made = await policies(world).set(acme.id, None, type, days, by=None)  # type: ignore[arg-type]
    assert made == Setting(type, policy) == await policies(world).get(acme.id)  # type: ignore[arg-type]


@given(days=st.integers())
def test_days_are_1_to_30(days: int) -> None:
    if 1 <= days <= 30:
        assert setting("none", days).policy.days == days
    else:
        with pytest.raises(InvalidRequest) as refused:
            setting("none", days)
        assert refused.value.param == "days"
    with pytest.raises(InvalidRequest, match="no content is kept"):
        setting("zero_data_retention", days)


async def test_nobody_asked_for_anything(world: World) -> None:
    realm = await world.realm()
    assert (
        await policies(world).get(realm.organization_id or "") == DEFAULT == Setting("none", Policy(days=30))
    )
    found = await policies(world).get(realm.organization_id or "", realm.project_id)
    assert found == Setting("organization_default", Policy(days=30))


async def test_a_project_follows_its_organization_until_it_has_its_own(world: World) -> None:
    acme = await world.organization()
    shop, till = [(await world.project(acme, name)).id for name in ("shop", "till")]
    of = policies(world)
    await of.set(acme.id, None, "none", 7, by=None)
    assert await of.get(acme.id, shop) == Setting("organization_default", Policy(days=7))
    await of.set(acme.id, shop, "zero_data_retention", by=None)
    await of.set(acme.id, None, "none", 3, by=None)
    assert [(one.name, one.setting.policy.days) for one in await of.of_projects(acme.id)] == [
        ("shop", 0),
        ("till", 3),
    ]
    laxer = await of.set(acme.id, till, "none", 30, by=None)
    assert laxer.policy.days == 30, "as with OpenAI, a project's own policy may be laxer"
    back = await of.set(acme.id, shop, "organization_default", by=None)
    assert back == Setting("organization_default", Policy(days=3))


async def test_settings_of_several_organizations(world: World) -> None:
    acme, other = await world.organization("acme"), await world.organization("other")
    await policies(world).set(other.id, None, "none", 5, by=None)
    found = await policies(world).of_organizations([acme.id, other.id])
    assert found == {acme.id: DEFAULT, other.id: Setting("none", Policy(days=5))}


async def test_nothing_of_others_is_found_or_changed(world: World) -> None:
    acme, other = await world.organization("acme"), await world.organization("other")
    shop = (await world.project(other)).id
    of = policies(world)
    for organization_id, project_id in ((acme.id, shop), (acme.id, "proj_none"), ("org-none", None)):
        with pytest.raises(NotFound):
            await of.get(organization_id, project_id)
        with pytest.raises(NotFound):
            await of.set(organization_id, project_id, "none", 1, by=None)
    assert (await of.get(other.id, shop)).policy.days == 30


async def test_an_organization_has_no_default_to_follow(world: World) -> None:
    realm = await world.realm()
    organization_id = realm.organization_id or ""
    with pytest.raises(InvalidRequest) as refused:
        await policies(world).set(organization_id, None, "organization_default", by=None)
    assert refused.value.param == "retention_type"
    with pytest.raises(InvalidRequest) as refused:
        await policies(world).set(organization_id, realm.project_id, "organization_default", 5, by=None)
    assert refused.value.param == "days"


async def test_an_archived_project_can_be_made_stricter(world: World) -> None:
    realm = await world.realm()
    organization_id, project_id = realm.organization_id or "", realm.project_id or ""
    await world.access.projects.archive(organization_id, project_id, by=None)
    shortened = Shortened()
    await policies(world, shortened).set(organization_id, project_id, "zero_data_retention", by=None)
    assert shortened.told == [(project_id, 0, set(), True)]


async def test_what_is_kept_is_shortened_for_whom_it_concerns(world: World) -> None:
    acme, other = await world.organization("acme"), await world.organization("other")
    shop, till = [(await world.project(acme, name)).id for name in ("shop", "till")]
    await world.project(other)
    shortened = Shortened()
    of = policies(world, shortened)
    await of.set(acme.id, till, "none", 20, by=None)
    await of.set(acme.id, None, "none", 7, by=None)
    await of.set(acme.id, till, "organization_default", by=None)
    await of.set(acme.id, shop, "modified_abuse_monitoring", by=None)
    await of.set(acme.id, None, "zero_data_retention", by=None)
    assert shortened.told == [
        (till, 20, set(), True),
        (None, 7, {till}, True),
        (till, 7, set(), True),
        (shop, 0, set(), False),
        (None, 0, {shop}, True),
    ]


async def test_a_change_that_could_not_shorten_is_none(world: World) -> None:
    realm = await world.realm()
    organization_id = realm.organization_id or ""
    shortened = Shortened()
    shortened.failures = 1
    of = policies(world, shortened)
    before = await of.get(organization_id)
    with pytest.raises(RuntimeError, match="disk"):
        await of.set(organization_id, None, "none", 1, by=None)
    assert await of.get(organization_id) == before
    assert "data_retention.updated" not in await world.events(organization_id)
    await of.set(organization_id, None, "none", 1, by=None)
    await of.set(organization_id, None, "none", 1, by=None)
    assert shortened.told == [(None, 1, set(), True)] * 2, "what is set already may be asked for again"
    assert (await world.events(organization_id)).count("data_retention.updated") == 1


async def test_changes_are_on_record_with_what_was_before(world: World) -> None:
    realm = await world.realm()
    organization_id = realm.organization_id or ""
    owner = await world.caller(type(realm)(organization_id), role="owner")
    await policies(world).set(organization_id, realm.project_id, "none", 9, by=owner)
    await policies(world).set(organization_id, realm.project_id, "none", 9, by=owner)
    [event] = [
        event
        for event in (await world.access.audit.list(organization_id)).data
        if event.type == "data_retention.updated"
    ]
    assert (event.project_id, event.actor_key_id) == (realm.project_id, owner.key_id)
    assert event.payload == {
        "id": realm.project_id,
        "changes_requested": {"retention_type": "none", "days": 9, "stores": True},
        "before": {"retention_type": "organization_default", "days": 30, "stores": True},
    }


async def test_of_two_changes_at_once_the_kept_follows_the_stricter(world: World) -> None:
    """Whichever comes first: what was kept of a project that goes back to its organization is shortened."""
    acme = await world.organization()
    project_id = (await world.project(acme)).id
    for _ in range(5):
        shortened = Shortened()
        of = policies(world, shortened)
        await of.set(acme.id, None, "none", 30, by=None)
        await of.set(acme.id, project_id, "none", 30, by=None)
        await asyncio.gather(
            of.set(acme.id, None, "none", 2, by=None),
            of.set(acme.id, project_id, "organization_default", by=None),
        )
        assert shortened.days(project_id) == 2
