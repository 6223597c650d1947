"""Which engines serve a snapshot: by the machine, by what they can do, and by what could be prepared."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import fake_engine
from antiphon import engines
from antiphon.catalogue.choices import choices
from antiphon.catalogue.entries import Entry, File, PathSource
from antiphon.catalogue.store import ModelStore
from antiphon.errors import ConfigurationError

SLOW = "is slower without its instructions"


def entry(engine: Any) -> Entry:
    return Entry(
        id="m-2024",
        task="chat",
        released=date(2024, 1, 1),
        owned_by="me",
        licence="MIT",
        context=512,
        engine=engine,
        source=PathSource("/models"),
        files=(File(name="m.gguf", size=1, sha256="0" * 64),),
    )


@pytest.fixture
def suits(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Tells whether the machine suits the engine "fast", which cannot do all that "able" can."""

    def machine(good: bool) -> None:
        kinds = [
            fake_engine.kind(name="fast", features={"seed"}, unsuited=lambda: "" if good else SLOW),
            fake_engine.kind(name="able", features={"seed", "logit_bias", "grammar"}),
        ]
        monkeypatch.setattr(engines, "kinds", lambda: {kind.name: kind for kind in kinds})

    machine(True)
    return machine


def chosen(engine: Any, home: Path) -> list[tuple[str, bool, str]]:
    found = choices(entry(engine), ModelStore(home))
    return [(choice.kind.name, choice.alternative, choice.why) for choice in found]


def test_the_first_is_preferred_and_the_others_do_what_it_cannot(suits: Any, tmp_path: Path) -> None:
    assert chosen(("fast", "able"), tmp_path) == [
        ("fast", False, "the first named, and the machine suits it"),
        ("able", True, "on demand, for grammar, logit_bias"),
    ]


def test_one_that_the_machine_does_not_suit_is_passed_over(suits: Any, tmp_path: Path) -> None:
    suits(False)
    assert chosen(("fast", "able"), tmp_path) == [("able", False, f"fast {SLOW}")]


def test_one_that_can_do_nothing_more_is_left_out(suits: Any, tmp_path: Path) -> None:
    assert [name for name, *_ in chosen(("able", "fast"), tmp_path)] == ["able"]


def test_a_single_one_is_taken_whatever_the_machine_is(suits: Any, tmp_path: Path) -> None:
    suits(False)
    assert chosen("fast", tmp_path) == [("fast", False, "the only one named")]


def test_an_unknown_engine_is_refused_with_those_that_there_are(suits: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'m-2024' asks for the engine 'nonesuch'") as refused:
        chosen(("fast", "nonesuch"), tmp_path)
    assert refused.value.fix == "engines for chat: able, fast"
