from __future__ import annotations

from typing import get_args

import pytest

from antiphon.access.permissions import Permission, allows, narrower, require, require_grant
from antiphon.errors import Forbidden
from antiphon.values import Caller, KeyKind, Role

ALL = set(get_args(Permission))


def caller(kind: KeyKind = "project", role: Role = "reader", scopes: str = "") -> Caller:
    return Caller(
        key_id="key_a",
        organization_id="org-a",
        organization="a",
        kind=kind,
        role=role,
        scopes=frozenset(scopes.split()),
    )


@pytest.mark.parametrize(
    ("who", "may"),
    [
        (caller(scopes="chat audio models"), {"chat", "audio", "models"}),
        (caller(scopes="audio"), {"audio"}),
        (caller(scopes=""), set()),
        # What is stored in a key of a project opens nothing but a project, whoever wrote it there.
        (caller(scopes="chat org.write operator", role="owner"), {"chat"}),
        (caller("admin", "reader"), {"models", "org.read"}),
        (caller("admin", "member"), {"models", "org.read", "project.write"}),
        (caller("admin", "owner", "chat"), {"models", "org.read", "project.write", "org.write"}),
        (caller("operator"), {"models", "org.read", "project.write", "org.write", "operator"}),
    ],
)
def test_what_each_may(who: Caller, may: set[Permission]) -> None:
    assert {needs for needs in ALL if allows(who, needs)} == may
    for needs in ALL - may:
        with pytest.raises(Forbidden, match=f"Missing: {needs}"):
            require(who, needs)
    for needs in may:
        require(who, needs)


@pytest.mark.requirement("R1")
def test_a_route_that_names_no_permission_is_closed_to_everybody() -> None:
    for who in (caller(scopes="chat audio models"), caller("admin", "owner"), caller("operator")):
        assert not allows(who, None)
        with pytest.raises(Forbidden):
            require(who, None)


def test_the_narrower_role() -> None:
    assert narrower("owner", "member") == narrower("member", "owner") == "member"
    assert narrower("reader", "owner") == "reader" and narrower("owner", "owner") == "owner"


def test_the_command_line_may_give_everything_and_an_operator_too() -> None:
    for by in (None, caller("operator")):
        require_grant(by, "operator")
        require_grant(by, "admin", role="owner")
        require_grant(by, "project", scopes=frozenset({"chat"}))


@pytest.mark.requirement("R4")
@pytest.mark.parametrize(
    ("by", "kind", "role", "scopes"),
    [
        (caller("admin", "owner"), "operator", "reader", ""),
        (caller("admin", "member"), "admin", "owner", ""),
        (caller(scopes="chat audio models"), "admin", "reader", ""),
        (caller(scopes="chat"), "project", "reader", "chat audio"),
    ],
)
def test_nobody_gives_more_than_they_have(by: Caller, kind: KeyKind, role: Role, scopes: str) -> None:
    with pytest.raises(Forbidden):
        require_grant(by, kind, role=role, scopes=frozenset(scopes.split()))


def test_what_one_has_can_be_given() -> None:
    require_grant(caller("admin", "member"), "admin", role="member")
    require_grant(caller("admin", "reader"), "project", scopes=frozenset({"chat", "audio"}))
    require_grant(caller(scopes="chat audio"), "project", scopes=frozenset({"chat"}))
