"""`antiphon data policy`: what is set is shown, and a wrong word changes nothing."""

from __future__ import annotations

import pytest

from operator_shell import Shell, begun


def test_policies_are_set_and_shown(shell: Shell) -> None:
    shell.printed("orgs", "create", "acme")
    for project in ("shop", "till"):
        shell.printed("projects", "create", project, "--org", "acme")
    at = ("--org", "acme")
    assert shell.printed("data", "policy", "set", "none", "--days", "7", *at) == (
        "acme: content is kept for 7 days."
    )
    zero = shell.printed("data", "policy", "set", "zero_data_retention", "--project", "till", *at)
    assert zero == "till: no content is ever written."
    shown = shell.json("data", "policy", "show", *at)
    assert [(row["of"], row["name"], row["type"], row["days"], row["stores"]) for row in shown] == [
        ("organization", "acme", "none", 7, True),
        ("project", "shop", "organization_default", 7, True),
        ("project", "till", "zero_data_retention", 0, False),
    ]
    back = shell.printed("data", "policy", "set", "organization_default", "--project", "till", *at)
    assert back == "till: content is kept for 7 days."
    only = shell.printed("data", "policy", "set", "modified_abuse_monitoring", *at)
    assert only == "acme: no content is written but what requests ask to store."
    assert "organization_default" in shell.printed("data", "policy", "show", *at)
    assert shell.printed("data", "policy", "show", "--csv").splitlines()[1].endswith(",default,none,30,True")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("forever",), 2, "not a type"),
        (("none", "--days", "31"), 1, "between 1 and 30"),
        (("zero_data_retention", "--days", "1"), 1, "no content is kept"),
        (("organization_default",), 1, "for projects"),
        (("none", "--project", "missing"), 1, "no such project"),
        (("none", "--org", "missing"), 1, "no such organization"),
    ],
)
def test_what_cannot_be_set(shell: Shell, arguments: tuple[str, ...], code: int, said: str) -> None:
    begun(shell.home)
    failed, message = shell.failed("data", "policy", "set", *arguments)
    assert failed == code and said in message
    assert {row["days"] for row in shell.json("data", "policy", "show")} == {30}
