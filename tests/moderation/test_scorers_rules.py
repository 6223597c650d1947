from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.errors import ConfigurationError
from antiphon.moderation import scorers
from antiphon.moderation.scorers.rules import build
from antiphon.settings import Settings


def test_kinds_are_found_by_being_there() -> None:
    assert scorers.names() == ["classifier", "endpoint", "rules"]


def test_the_settings_name_the_scorers_each_once(tmp_path: Path) -> None:
    chosen = Settings(home=str(tmp_path), moderation_scorers=" classifier  rules classifier ")
    assert [one.name for one in scorers.panel(chosen).scorers] == ["classifier", "rules"]
    assert scorers.panel(Settings(home=str(tmp_path), moderation_scorers="")).scorers == ()


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"moderation_scorers": "rules oracle"}, "no scorer 'oracle'"),
        ({"moderation_scorers": "endpoint"}, "no address"),
        (
            {
                "moderation_scorers": "endpoint",
                "moderation_url": "http://localhost/v1/moderations",
                "moderation_key_file": "/nowhere",
            },
            "holds no key",
        ),
    ],
)
def test_what_cannot_be_built_is_told(tmp_path: Path, chosen: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        scorers.panel(Settings(home=str(tmp_path), **chosen))  # type: ignore[arg-type]


async def test_the_rules_score_by_themselves(tmp_path: Path) -> None:
    scorer = build(Settings(home=str(tmp_path)))
    await scorer.start()
    harmless, bad = await scorer.score(["Hello", "I'll hang myself"])
    assert (harmless, bad) == ({}, {"self-harm": 0.95})
    await scorer.close()
