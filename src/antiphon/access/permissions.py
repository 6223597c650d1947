"""What a key may do: every route names one permission, and what is not allowed here is refused."""

from __future__ import annotations

from typing import Literal, get_args

from antiphon.errors import Forbidden
from antiphon.values import Caller, KeyKind, Role

Scope = Literal["chat", "audio", "models"]
"""What a project key may be used for. Each is the permission of the same name."""
Permission = Literal["chat", "audio", "models", "org.read", "org.write", "project.write", "operator"]

SCOPES: frozenset[Scope] = frozenset(get_args(Scope))

# Roles, and what kinds of keys may be given by, from the one that may least.
_ROLES: tuple[Role, ...] = ("reader", "member", "owner")
_KINDS: dict[KeyKind, int] = {"project": 0, "admin": 1, "session": 1, "operator": 2}

_READER: frozenset[Permission] = frozenset({"models", "org.read"})
_MEMBER: frozenset[Permission] = _READER | {"project.write"}
_OWNER: frozenset[Permission] = _MEMBER | {"org.write"}
_OPERATOR: frozenset[Permission] = _OWNER | {"operator"}
_ALLOWED: dict[Role, frozenset[Permission]] = {"reader": _READER, "member": _MEMBER, "owner": _OWNER}


def allows(caller: Caller, needs: Permission | None) -> bool:
    """Whether the caller may do what a route needs. A route that names nothing is closed to everybody.

    A person who may change projects may also use their models; one who only reads costs nobody anything.
    """
    if caller.kind == "operator":
        return needs in _OPERATOR
    if caller.kind == "session":
        mine = _OPERATOR if caller.operator else _ALLOWED[caller.role]
        return needs in mine or (needs in SCOPES and "project.write" in mine)
    if caller.kind == "admin":
        return needs in _ALLOWED[caller.role]
    return needs in SCOPES and needs in caller.scopes


def require(caller: Caller, needs: Permission | None) -> None:
    """Raise `Forbidden` unless `allows`."""
    if not allows(caller, needs):
        raise Forbidden(f"You have insufficient permissions for this operation. Missing: {needs or 'all'}.")


def narrower(one: Role, other: Role) -> Role:
    """The role that may less."""
    return min(one, other, key=_ROLES.index)


def require_grant(
    by: Caller | None, kind: KeyKind, *, role: Role = "reader", scopes: frozenset[str] = frozenset()
) -> None:
    """Raise `Forbidden` if such a key could do what `by` cannot. The command line (None) may give all."""
    if by is None:
        return
    level = _KINDS["operator"] if by.operator else _KINDS[by.kind]
    wider_kind = _KINDS[kind] > level
    wider_role = kind == "admin" and level == _KINDS["admin"] and _ROLES.index(role) > _ROLES.index(by.role)
    wider_scopes = kind == by.kind == "project" and not scopes <= by.scopes
    if wider_kind or wider_role or wider_scopes:
        raise Forbidden("A key cannot be given more than the key that makes it may do.")
