"""`antiphon people`: links and operators, from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from antiphon.cli.people import people
from operator_shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def run(shell: Shell, *words: str) -> str:
    done = CliRunner().invoke(people, [*words, "--home", str(shell.home)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_an_owner_gets_a_link_and_becomes_an_operator(shell: Shell) -> None:
    shell.printed("orgs", "add-member", "ada@example.com", "--role", "owner")
    assert re.fullmatch(
        r"http://127.0.0.1:8000/sign-in/link\?token=\S{43}\n", run(shell, "link", "ada@example.com")
    )
    assert "is now an operator" in run(shell, "operator", "ada@example.com")
    [ada] = json.loads(run(shell, "list", "--json"))
    assert (ada["email"], ada["operator"], ada["signs_in"]) == ("ada@example.com", True, False)
    assert "no longer" in run(shell, "operator", "ada@example.com", "--off")


def test_only_owners_can_be_operators_and_only_members_have_links(shell: Shell) -> None:
    shell.printed("orgs", "add-member", "kim@example.com", "--role", "reader")
    for words in (("operator", "kim@example.com"), ("link", "nobody@example.com")):
        assert CliRunner().invoke(people, [*words, "--home", str(shell.home)]).exit_code != 0
