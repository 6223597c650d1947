"""Days and times on the command line."""

from __future__ import annotations

import pytest

from antiphon.cli.moments import moment, written
from antiphon.cli.output import CommandFailed, ExitCode


def test_a_day_is_one_of_utc_and_a_time_has_its_zone() -> None:
    assert moment("2999-12-01") == 32_501_001_600
    assert moment("2999-12-01T01:00+01:00") == moment("2999-12-01T00:00Z") == 32_501_001_600


@pytest.mark.parametrize("text", ["", "soon", "2999-13-01", "2999-12-01T09:00", "2999-12-01 09:00", "12"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(CommandFailed, match="is no time") as refused:
        moment(text)
    assert refused.value.exit_code == ExitCode.USAGE and "2026-12-01T09:00+01:00" in (refused.value.fix or "")


def test_what_is_over_is_refused_with_advice() -> None:
    with pytest.raises(CommandFailed, match="2001-01-01 is over") as refused:
        moment("2001-01-01", fix="leave it out")
    assert refused.value.fix == "leave it out"


def test_a_moment_is_written_for_people() -> None:
    assert written(32_501_001_600 + 3660) == "2999-12-01 01:01 UTC" and written(None) == ""
