"""What names and snapshots may be made to mean, before anything is announced."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.catalogue.fitting import fitting, known, require_alias, require_replacement
from antiphon.errors import ConfigurationError
from service import CHAT, SPEECH, catalogue


def test_what_fits_is_taken(tmp_path: Path) -> None:
    there = catalogue(tmp_path)
    assert fitting(there, "gpt-3.5-turbo", CHAT).id == CHAT
    assert known(there, SPEECH).id == SPEECH
    require_alias(there, "whisper-1")


def test_what_does_not_fit_is_refused_with_a_way_out(tmp_path: Path) -> None:
    there = catalogue(tmp_path)
    for alias, snapshot, said in (
        ("none", CHAT, "There is no alias"),
        ("whisper-1", "none", "There is no snapshot"),
        ("whisper-1", CHAT, "is for speech"),
    ):
        with pytest.raises(ConfigurationError, match=said) as told:
            fitting(there, alias, snapshot)
        assert told.value.fix
    for replacement, said in (
        ("none", "no other model"),
        ("gpt-3.5-turbo", "itself"),
        ("whisper-1", "is for chat"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            require_replacement(there, CHAT, replacement)
