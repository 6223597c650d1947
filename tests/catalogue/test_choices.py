"""Which engines serve a snapshot: by the machine, by what they can do, and by what could be prepared."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

import fake_engine
from antiphon import engines
from antiphon.catalogue.choices import choices
from antiphon.catalogue.entries import Entry, File, Needs, PathSource, UpstreamSource
from antiphon.catalogue.store import ModelStore
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings

SLOW = "is slower without its instructions"


def entry(engine: Any, file: str = "m.gguf") -> Entry:
    return Entry(
        id="m-2024",
        task="chat",
        released=date(2024, 1, 1),
        owned_by="me",
        licence="MIT",
        context=512,
        engine=engine,
        source=PathSource("/models"),
        files=(File(name=file, size=1, sha256="0" * 64),),
    )


@pytest.fixture
def suits(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Tells whether the machine suits the engine "fast", which cannot do all that "able" can."""

    def machine(good: bool) -> None:
        kinds = [
            fake_engine.kind(name="fast", features={"seed"}, unsuited=lambda: "" if good else SLOW),
            fake_engine.kind(name="able", features={"seed", "logit_bias", "grammar"}),
            fake_engine.kind(name="other", features={"logprobs"}, reads={"gguf", "safetensors"}),
            fake_engine.kind(name="unread", reads={"safetensors"}),
            fake_engine.kind(name="gone", features={"lazy_grammar"}, absent="is not installed"),
        ]
        monkeypatch.setattr(engines, "kinds", lambda: {kind.name: kind for kind in kinds})

    machine(True)
    return machine


def chosen(engine: Any, home: Path, file: str = "m.gguf") -> list[tuple[str, bool, str]]:
    found = choices(entry(engine, file), ModelStore(home), Settings())
    return [(choice.kind.name, choice.alternative, choice.why) for choice in found]


def test_the_first_is_preferred_and_the_others_do_what_it_cannot(suits: Any, tmp_path: Path) -> None:
    assert chosen(("fast", "able"), tmp_path) == [
        ("fast", False, "the first named, and the machine suits it"),
        ("able", True, "on demand, for grammar, logit_bias"),
    ]


def test_one_that_the_machine_does_not_suit_is_passed_over(suits: Any, tmp_path: Path) -> None:
    suits(False)
    assert chosen(("fast", "able"), tmp_path) == [("able", False, f"fast {SLOW}")]


@pytest.mark.parametrize(
    ("runtime", "gpus", "expected"),
    [("ray", 1, ["fast", "able", "gone"]), ("ray", 0, ["able"]), ("local", 1, ["able"])],
)
def test_what_a_cluster_has_accelerators_for_is_not_chosen_by_this_machine(
    suits: Any, tmp_path: Path, runtime: Any, gpus: int, expected: list[str]
) -> None:
    suits(False)
    wanted = msgspec.structs.replace(entry(("fast", "able", "gone")), needs=Needs(gpus=gpus))
    found = choices(wanted, ModelStore(tmp_path), Settings(runtime=runtime))
    assert [choice.kind.name for choice in found] == expected


def test_one_that_can_do_nothing_more_is_left_out(suits: Any, tmp_path: Path) -> None:
    assert [name for name, *_ in chosen(("able", "fast"), tmp_path)] == ["able"]


def test_a_single_one_is_taken_whatever_the_machine_is(suits: Any, tmp_path: Path) -> None:
    suits(False)
    assert chosen("fast", tmp_path) == [("fast", False, "the only one named")]


def test_an_unknown_engine_is_refused_with_those_that_there_are(suits: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'m-2024' asks for the engine 'nonesuch'") as refused:
        chosen(("fast", "nonesuch"), tmp_path)
    assert refused.value.fix == "engines for chat: able, fast, gone, other, unread"


def test_an_engine_that_does_not_read_the_format_is_passed_over(suits: Any, tmp_path: Path) -> None:
    for engine in (("able", "other"), ("other", "able")):
        [(name, alternative, why)] = chosen(engine, tmp_path, "model.safetensors")
        assert (name, alternative) == ("other", False) and "able does not read safetensors" in why
    assert [name for name, *_ in chosen(("able", "other"), tmp_path)] == ["able", "other"]


def test_a_model_that_no_engine_can_serve_is_refused_with_every_reason(suits: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="fast does not read .*; able does not read safetensors"):
        chosen(("fast", "able"), tmp_path, "model.safetensors")


def test_one_that_is_not_installed_is_passed_over_and_does_nothing_on_demand(
    suits: Any, tmp_path: Path
) -> None:
    for engine in (("gone", "able"), ("able", "gone")):
        [(name, alternative, why)] = chosen(engine, tmp_path)
        assert (name, alternative) == ("able", False) and "gone is not installed" in why
    with pytest.raises(ConfigurationError, match="No engine can serve 'm-2024': gone is not installed"):
        chosen("gone", tmp_path)


def test_one_that_the_machine_does_not_suit_serves_what_no_other_can(suits: Any, tmp_path: Path) -> None:
    suits(False)
    found = chosen(("fast", "unread"), tmp_path)
    assert found == [("fast", False, "no other can; unread does not read gguf")]


def test_what_is_served_elsewhere_has_its_engines_alone_and_has_to_be_allowed(tmp_path: Path) -> None:
    far = msgspec.structs.replace(
        entry("openai"), source=UpstreamSource(url=["http://10.0.0.5:8000/v1"]), files=()
    )
    store = ModelStore(tmp_path)
    [choice] = choices(far, store, Settings(upstreams="http://10.0.0.5:8000"))
    assert choice.kind.name == "openai" and not choice.alternative
    with pytest.raises(ConfigurationError, match="upstreams"):
        choices(far, store, Settings(upstreams="http://10.0.0.5"))
    for engine, files in (("llama", far.files), ("openai", entry("llama").files)):
        source = far.source if engine == "llama" else entry("llama").source
        with pytest.raises(ConfigurationError, match="does not read"):
            wrong = msgspec.structs.replace(far, engine=engine, source=source, files=files)
            choices(wrong, store, Settings(upstreams="http://10.0.0.5:8000"))
