from __future__ import annotations

import pytest

from operator_shell import Shell, begun


def test_a_text_is_scored_without_a_server(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_MODERATION_SCORERS", "rules")
    done = shell("moderation", "score", "I want to kill myself", "--json")
    assert done.exit_code == 0 and "Nobody scores: " in done.stderr and "violence/graphic" in done.stderr
    assert '{"category": "self-harm", "score": "0.950", "scorer": "rules"}' in done.stdout
    (shell.home / "moderation.toml").parent.mkdir(parents=True, exist_ok=True)
    (shell.home / "moderation.toml").write_text('[[rule]]\nname = "a"\ncategory = "rude"\nwords = ["x"]\n')
    exit_code, message = shell.failed("moderation", "score", "x")
    assert exit_code == 3 and "line 1" in message and "no category 'rude'" in message


def test_thresholds_are_shown_set_and_forgotten(shell: Shell) -> None:
    shell.printed("orgs", "create", "acme")
    before = shell.json("moderation", "thresholds")
    assert {"category": "hate", "action": "note", "score": 0.5, "times": 1} in before
    setting = ("--category", "hate", "--action", "suspend", "--at", "0.9", "--times", "3")
    own = shell.json("moderation", "thresholds", "--org", "acme", *setting)
    assert {"category": "hate", "action": "suspend", "score": 0.9, "times": 3} in own
    assert shell.json("moderation", "thresholds") == before
    never = ("--category", "hate", "--action", "note", "--at", "never")
    assert len(shell.json("moderation", "thresholds", *never)) == len(before) - 1
    assert shell.json("moderation", "thresholds", "--reset") == before
    assert "From score" in shell.printed("moderation", "thresholds", "--org", "acme")


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("--category", "hate"), 2),
        (("--category", "hate", "--action", "note", "--at", "much"), 2),
        (("--category", "rude", "--action", "note", "--at", "0.5"), 1),
        (("--org", "none"), 1),
    ],
)
def test_what_is_no_threshold_is_refused(shell: Shell, arguments: tuple[str, ...], exit_code: int) -> None:
    begun(shell.home)
    assert shell.failed("moderation", "thresholds", *arguments)[0] == exit_code
