"""`antiphon data opt-in`, `opt-out` and `consent`."""

from __future__ import annotations

from antiphon.privacy.consent import CURRENT, text
from operator_shell import Shell, begun


def test_the_text_is_shown_and_agreed_to(shell: Shell) -> None:
    shell.printed("orgs", "create", "acme")
    assert shell.printed("data", "consent", "--text") + "\n" == text().text
    nothing = shell("data", "consent", "--org", "acme")
    assert nothing.exit_code == 0 and nothing.stderr == "acme is opted out, which is the default.\n"
    made = shell.printed("data", "opt-in", "--by", "Ann", "--text", CURRENT, "--org", "acme")
    assert made == f"acme is opted in, to the text {CURRENT} (SHA-256 {text().sha256})."
    assert shell("data", "consent", "--org", "acme").stderr == "acme is opted in.\n"
    assert shell.printed("data", "opt-out", "--by", "Bob", "--org", "acme") == "acme is opted out."
    listed = shell.json("data", "consent", "--org", "acme")
    assert [(row["opted_in"], row["given_by"], row["text_version"]) for row in listed] == [
        (False, "Bob", CURRENT),
        (True, "Ann", CURRENT),
    ]
    assert listed[1]["text_sha256"] == text().sha256
    assert "Opted in" in shell("data", "consent", "--org", "acme").stdout
    assert shell.json("data", "consent") == [], "of the default organization nothing was decided"


def test_what_is_no_consent(shell: Shell) -> None:
    begun(shell.home)
    exit_code, message = shell.failed("data", "opt-in", "--by", "Ann", "--text", "1999-01")
    assert exit_code == 1 and CURRENT in message
    exit_code, message = shell.failed("data", "opt-in", "--by", "", "--text", CURRENT)
    assert exit_code == 1 and "who of the organization" in message
    assert shell("data", "opt-in", "--text", CURRENT).exit_code == 2, "somebody has to have agreed"
    assert shell.json("data", "consent") == []
