from __future__ import annotations

import csv
import io

import pytest

from antiphon.access import tokens
from operator_shell import Shell, begun

DAY = 86_400


def test_create_prints_the_key_alone_even_before_the_first_start(shell: Shell) -> None:
    made = shell("keys", "create")
    assert made.exit_code == 0
    assert tokens.is_well_formed(made.stdout.removesuffix("\n"))
    assert f"in project default, for the Antiphon in {shell.home}. It is not shown again." in made.stderr


def test_create_prints_json_for_scripts(shell: Shell) -> None:
    options = ("--name", "robot", "--project", "shop", "--expires-days", "2", "--scopes", "chat, models")
    answer = shell.json("keys", "create", *options)
    assert set(answer) == {"id", "value"} and tokens.is_well_formed(answer["value"])
    [key] = shell.json("keys", "list")
    assert (key["id"], key["name"], key["project"]) == (answer["id"], "robot", "shop")
    assert (key["kind"], key["scopes"]) == ("project", ["chat", "models"])
    assert key["expires_at"] - key["created_at"] == 2 * DAY


def test_create_makes_admin_and_operator_keys(shell: Shell) -> None:
    acme = shell.printed("orgs", "create", "acme")
    shell.printed("orgs", "add-member", "ann@example.com", "--name", "Ann", "--org", "acme")
    shell.json(
        "keys", "create", "--admin", "--org", "acme", "--role", "reader", "--member", "ann@example.com"
    )
    made = shell("keys", "create", "--operator")
    assert "of kind operator" in made.stderr
    made_keys = {key["kind"]: key for key in shell.json("keys", "list")}
    admin, operator = made_keys["admin"], made_keys["operator"]
    assert (admin["kind"], admin["role"], admin["organization_id"]) == ("admin", "reader", acme)
    assert admin["owner"]["email"] == "ann@example.com" and admin["project"] is None
    assert (operator["kind"], operator["organization_id"]) == ("operator", None)


def test_the_same_project_is_used_again_and_each_organization_has_its_own(shell: Shell) -> None:
    shell.printed("orgs", "create", "acme")
    for org in ("default", "default", "acme"):
        shell.printed("keys", "create", "--project", "shop", "--org", org)
    made = shell.json("keys", "list")
    assert len({key["project_id"] for key in made}) == 2
    assert len({key["organization_id"] for key in made}) == 2


@pytest.mark.parametrize(
    ("options", "exit_code"),
    [
        (("--admin", "--operator"), 2),
        (("--operator", "--member", "ann@example.com"), 2),
        (("--org", "missing"), 1),
        (("--member", "missing@example.com"), 1),
        (("--scopes", "everything"), 1),
        (("--name", "a\nb"), 1),
    ],
)
def test_what_cannot_be_made_is_told_in_one_line(
    shell: Shell, options: tuple[str, ...], exit_code: int
) -> None:
    begun(shell.home)
    assert shell.failed("keys", "create", *options)[0] == exit_code
    assert shell.json("keys", "list") == []


@pytest.mark.parametrize("option", [("--expires-days", "0"), ("--role", "king")])
def test_an_option_that_is_none_is_a_usage_error(shell: Shell, option: tuple[str, str]) -> None:
    assert shell("keys", "create", *option).exit_code == 2
    assert not shell.home.exists()


def test_list_shows_the_state_and_never_the_key(shell: Shell) -> None:
    secret = shell.printed("keys", "create", "--name", "[red]x")
    revoked = shell.json("keys", "create")
    assert shell.printed("keys", "revoke", revoked["id"]) == f"{revoked['id']} is revoked."
    shown = shell.printed("keys", "list")
    assert secret[8:-4] not in shown
    rows = {line.split()[0]: line.rstrip() for line in shown.splitlines()}
    assert rows[revoked["id"]].endswith("revoked")
    [active] = [line for line in rows.values() if "[red]x" in line]
    assert active.endswith("active") and "never" in active
    assert sorted(str(key["state"]) for key in shell.json("keys", "list")) == ["active", "revoked"]


def test_list_prints_csv_that_no_spreadsheet_takes_for_a_formula(shell: Shell) -> None:
    shell.printed("keys", "create", "--name", '=HYPERLINK("x","y")')
    shell.printed("keys", "create", "--name", "a, b")
    rows = list(csv.DictReader(io.StringIO(shell.printed("keys", "list", "--csv"))))
    assert {row["name"] for row in rows} == {'\'=HYPERLINK("x","y")', "a, b"}
    assert {row["state"] for row in rows} == {"active"}
    assert all(row["created_at"].isdigit() and row["last_used_at"] == "" for row in rows)
    assert shell.failed("keys", "list", "--csv", "--json")[0] == 2


def test_list_of_nothing_is_an_empty_list(shell: Shell) -> None:
    begun(shell.home)
    assert shell.json("keys", "list") == []
    assert len(shell.printed("keys", "list").splitlines()) == 1
    assert len(shell.printed("keys", "list", "--csv").splitlines()) == 1


def test_list_goes_on_where_a_page_ends(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.cli.keys.PAGE", 2)
    made = {shell.json("keys", "create")["id"] for _ in range(5)}
    assert {key["id"] for key in shell.json("keys", "list")} == made


def test_an_unknown_id_is_one_plain_line(shell: Shell) -> None:
    begun(shell.home)
    for command in ("revoke", "rotate"):
        assert shell.failed("keys", command, "key_nope") == (1, "There is no such API key.")


def test_rotate_keeps_the_id_and_repeats_itself_by_its_token(shell: Shell) -> None:
    key = shell.json("keys", "create")
    options = ("--token", "monday", "--grace", "30m")
    first = shell.json("keys", "rotate", key["id"], *options)
    assert first["id"] == key["id"] and first["value"] != key["value"]
    assert shell.printed("keys", "rotate", key["id"], *options) == first["value"]
    assert shell.json("keys", "rotate", key["id"])["value"] != first["value"]
    assert len(shell.json("keys", "list")) == 1


@pytest.mark.parametrize("grace", ["", "24", "h", "-1h", "1.5h", "1w", "1h1m"])
def test_a_grace_that_is_none_is_a_usage_error(shell: Shell, grace: str) -> None:
    begun(shell.home)
    exit_code, message = shell.failed("keys", "rotate", "key_a", "--grace", grace)
    assert exit_code == 2 and "length of time" in message
