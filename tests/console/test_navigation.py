"""What stands at the side of pages."""

from __future__ import annotations

from antiphon.console.navigation import GROUPS, visible
from antiphon.values import Caller


def test_each_sees_what_may_be_opened() -> None:
    person = {"key_id": "k", "organization_id": "o", "organization": "acme", "kind": "session"}
    reader = visible(Caller(**person, role="reader"))
    operator = visible(Caller(**person, role="owner", operator=True))
    assert sum(map(len, operator.values())) == sum(map(len, GROUPS.values()))
    assert "Installation" not in [one.name for one in reader["Platform"]]
    assert "Keys" in [one.name for one in reader["Account"]]
