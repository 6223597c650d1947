from __future__ import annotations

import pytest

from antiphon.cli.output import CommandFailed, ExitCode, plain, report
from antiphon.errors import ConfigurationError, InvalidRequest


@pytest.mark.parametrize(
    ("problem", "code", "said"),
    [
        (
            ConfigurationError("Port taken.", fix="use another"),
            3,
            "antiphon: Port taken. Fix: use another\n",
        ),
        (InvalidRequest("No such key"), 1, "antiphon: No such key.\n"),
        (CommandFailed("gone", exit_code=ExitCode.UNREACHABLE), 4, "antiphon: gone.\n"),
        (CommandFailed("two\nlines\x1b[2J", fix="a\nb"), 1, "antiphon: two lines[2J. Fix: a b\n"),
    ],
)
def test_a_failure_is_one_line_and_a_code(
    problem: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(problem) == code
    assert capsys.readouterr() == ("", said)


def raised() -> Exception:
    try:
        raise RuntimeError("the secret prompt")
    except RuntimeError as problem:
        return problem


def test_of_a_bug_only_the_class_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTIPHON_LOG_LEVEL", raising=False)
    assert report(raised()) == 1
    said = capsys.readouterr().err
    assert said.startswith("antiphon: unexpected RuntimeError.") and said.count("\n") == 1
    assert "secret" not in said


def test_of_a_bug_the_traceback_is_shown_when_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTIPHON_LOG_LEVEL", "debug")
    report(raised())
    assert "Traceback" in capsys.readouterr().err


def test_plain_keeps_text_and_drops_what_steers_a_terminal() -> None:
    assert plain("Grüße,\n\t世界 \x1b]0;t\x07\x9b1m\r\x7f") == "Grüße,\n\t世界 ]0;t1m"
