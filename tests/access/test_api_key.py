"""What a key says of itself."""

from __future__ import annotations

import msgspec
import pytest

from antiphon.access.api_key import ApiKey, Realm, State

KEY = ApiKey(
    id="key_a",
    kind="project",
    organization_id="org-a",
    project_id="proj_a",
    project="shop",
    name="a",
    redacted="sk-abcde****wxyz",
    scopes=("chat",),
    role=None,
    owner=None,
    created_at=100,
    expires_at=None,
    revoked_at=None,
    last_used_at=None,
)


@pytest.mark.parametrize(
    ("realm", "kind"),
    [
        (Realm("org-a", "proj_a"), "project"),
        (Realm("org-a"), "admin"),
        (Realm(), "operator"),
    ],
)
def test_a_realm_says_what_opens_it(realm: Realm, kind: str) -> None:
    assert realm.kind == kind


def test_a_key_knows_its_realm() -> None:
    assert KEY.realm == Realm("org-a", "proj_a")


@pytest.mark.parametrize(
    ("expires_at", "revoked_at", "state"),
    [
        (None, None, "active"),
        (201, None, "active"),
        (200, None, "expired"),
        (None, 150, "revoked"),
        (199, 150, "revoked"),
    ],
)
def test_its_state_at_a_moment(expires_at: int | None, revoked_at: int | None, state: State) -> None:
    key = msgspec.structs.replace(KEY, expires_at=expires_at, revoked_at=revoked_at)
    assert key.state(200.0) == state
