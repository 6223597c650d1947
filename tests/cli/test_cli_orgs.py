from __future__ import annotations

from operator_shell import Shell


def test_organizations_are_made_and_listed(shell: Shell) -> None:
    made = shell.printed("orgs", "create", "acme")
    other = shell.json("orgs", "create", "other", "--prepaid")
    assert made.startswith("org-") and (other["name"], other["prepaid"]) == ("other", True)
    listed = {org["name"]: org for org in shell.json("orgs", "list")}
    assert set(listed) == {"default", "acme", "other"} and listed["acme"]["id"] == made
    table = {line.split()[1]: line.split()[3] for line in shell.printed("orgs", "list").splitlines()}
    assert table == {"Name": "Prepaid", "default": "no", "acme": "no", "other": "yes"}
    assert shell.printed("orgs", "list", "--csv").splitlines()[0] == "id,name,created_at,prepaid"


def test_a_name_that_is_taken_is_one_plain_line(shell: Shell) -> None:
    shell.printed("orgs", "create", "acme")
    exit_code, message = shell.failed("orgs", "create", "acme")
    assert exit_code == 1 and "already" in message


def test_paying_in_advance_is_turned_on_and_off(shell: Shell) -> None:
    made = shell.printed("orgs", "create", "acme")
    assert shell.printed("orgs", "prepaid", "acme", "--on") == "acme pays in advance."
    assert shell.printed("orgs", "prepaid", made, "--off") == "acme pays afterwards."
    assert shell.failed("orgs", "prepaid", "missing", "--on")[0] == 1


def test_members_come_and_go(shell: Shell) -> None:
    ann = shell.printed("orgs", "add-member", "ann@example.com", "--name", "Ann", "--role", "owner")
    bob = shell.printed("orgs", "add-member", "bob@example.com")
    listed = shell.json("orgs", "members")
    assert {(m["id"], m["email"], m["name"], m["role"]) for m in listed} == {
        (ann, "ann@example.com", "Ann", "owner"),
        (bob, "bob@example.com", "bob@example.com", "member"),
    }
    assert shell.printed("orgs", "remove-member", "bob@example.com") == "bob@example.com is removed."
    assert [member["id"] for member in shell.json("orgs", "members")] == [ann]
    assert "ann@example.com" in shell.printed("orgs", "members")
    exit_code, message = shell.failed("orgs", "remove-member", "ann@example.com")
    assert exit_code == 1 and "last owner" in message


def test_members_are_of_the_organization_that_is_named(shell: Shell) -> None:
    shell.printed("orgs", "create", "acme")
    shell.printed("orgs", "add-member", "ann@example.com", "--org", "acme")
    assert shell.json("orgs", "members") == []
    assert len(shell.json("orgs", "members", "--org", "acme")) == 1
    assert shell.failed("orgs", "remove-member", "ann@example.com")[0] == 1
    assert shell.failed("orgs", "members", "--org", "missing")[0] == 1
