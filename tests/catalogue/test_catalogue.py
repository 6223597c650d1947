"""Names to snapshots: the shipped catalogue, and the operator's laid over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.catalogue.catalogue import Catalogue, load
from antiphon.catalogue.store import ModelStore
from antiphon.engines.template import reviewed
from antiphon.errors import ConfigurationError, ModelNotFound
from antiphon.settings import Settings

SMOLLM2 = "smollm2-135m-instruct-2024-11-01"
BASE = "whisper-base-2022-09-21"
TINY = "whisper-tiny.en-2022-09-21"
STAND_INS = [
    f"gpt-3.5-turbo-{ending}" for ending in ("0301", "0613", "16k", "16k-0613", "1106", "0125")
]  # fmt: skip


def pretend_installed(home: Path, *ids: str) -> Catalogue:
    """The catalogue once files of the right names and sizes are there: it looks no deeper."""
    entries = load(home).entries
    for id in ids:
        for file in entries[id].files:
            path = home / "models" / id / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as sparse:
                sparse.truncate(file.size)
    return load(home)


def write(home: Path, text: str) -> None:
    (home / "models.toml").write_text(text)


def test_the_default_aliases_answer_once_installed(tmp_path: Path) -> None:
    catalogue = pretend_installed(tmp_path, SMOLLM2, BASE)
    assert catalogue.resolve("whisper-1").id == BASE
    assert catalogue.resolve(SMOLLM2).context == 8192
    for name in ["gpt-3.5-turbo", *STAND_INS]:
        assert catalogue.resolve(name).id == SMOLLM2


def test_the_models_list_holds_every_name_that_answers(tmp_path: Path) -> None:
    catalogue = pretend_installed(tmp_path, SMOLLM2, BASE, TINY)
    models = {model.id: model for model in catalogue.models()}
    assert set(models) == {"gpt-3.5-turbo", "whisper-1", *STAND_INS, SMOLLM2, BASE}
    assert [name for name, model in models.items() if model.stand_in] == STAND_INS
    assert models["whisper-1"].alias_of == BASE
    assert models[BASE].alias_of is None
    assert models[BASE].created == 1_663_718_400
    assert models["gpt-3.5-turbo"].owned_by == "huggingface"


def test_a_shutdown_date_is_shown(tmp_path: Path) -> None:
    write(tmp_path, f'[snapshots."{BASE}"]\nshutdown = 2027-02-26\n')
    shown = {model.id: model.shutdown_date for model in pretend_installed(tmp_path, BASE).models()}
    assert shown == {"whisper-1": "2027-02-26", BASE: "2027-02-26"}


def test_what_is_not_installed_is_not_served_and_says_how_to_pull_it(tmp_path: Path) -> None:
    catalogue = pretend_installed(tmp_path, BASE)
    with pytest.raises(ModelNotFound, match=f"antiphon models pull {SMOLLM2}"):
        catalogue.resolve("gpt-3.5-turbo")
    assert {model.id for model in catalogue.models()} == {"whisper-1", BASE}
    assert [entry.id for entry in catalogue.missing()] == [SMOLLM2]


def test_an_unknown_model_is_answered_with_what_is_served(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=f"Served here: whisper-1, {BASE}\\."):
        pretend_installed(tmp_path, BASE).resolve("gpt-4")
    with pytest.raises(ModelNotFound, match="Served here: nothing yet"):
        load(tmp_path / "empty").resolve("gpt-4")


def test_a_file_of_the_wrong_size_is_not_an_installed_one(tmp_path: Path) -> None:
    pretend_installed(tmp_path, BASE)
    (tmp_path / "models" / BASE / "config.json").write_bytes(b"{}")
    assert BASE not in load(tmp_path).installed


def test_an_installed_snapshot_is_served_once_it_is_marked_or_pointed_at(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="installed, but not served"):
        pretend_installed(tmp_path, TINY).resolve(TINY)
    write(tmp_path, f'[snapshots."{TINY}"]\nserve = true\n')
    assert load(tmp_path).resolve(TINY).licence == "MIT"
    write(tmp_path, f'[aliases]\n"whisper-1" = {{ snapshot = "{TINY}" }}\n')
    assert load(tmp_path).resolve("whisper-1").id == TINY


def test_deployments_are_what_is_served_and_tell_the_engine_what_it_needs(tmp_path: Path) -> None:
    write(tmp_path, f'[snapshots."{SMOLLM2}"]\nengine = "llama"\nslots = 3\n')
    store = ModelStore(tmp_path)
    chat, speech = pretend_installed(tmp_path, SMOLLM2, BASE, TINY).deployments(store, Settings())
    assert (chat.snapshot, chat.engine, chat.context, chat.slots) == (SMOLLM2, "llama", 8192, 3)
    assert chat.model == tmp_path / "models" / SMOLLM2 / "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert reviewed(chat.options["template"])
    assert (speech.snapshot, speech.engine, speech.slots, speech.options) == (BASE, "speech", 32, {})
    assert speech.model == tmp_path / "models" / BASE


@pytest.mark.parametrize("engine", ["nonesuch", "speech"])
def test_an_engine_that_does_not_serve_the_task_is_refused(tmp_path: Path, engine: str) -> None:
    write(tmp_path, f'[snapshots."{SMOLLM2}"]\nengine = "{engine}"\n')
    with pytest.raises(ConfigurationError, match=f"'{SMOLLM2}' asks for the engine '{engine}'") as refusal:
        pretend_installed(tmp_path, SMOLLM2).deployments(ModelStore(tmp_path), Settings())
    assert "llama" in refusal.value.fix


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[aliases]\nx = \n", r"line 2"),
        ('[snapshots."x"]\ntask = "chat"\n', r"missing required field"),
        (f'[snapshots."{BASE}"]\ncolour = "red"\n', r"unknown field `colour`"),
        (f'[snapshots."{BASE}"]\nslots = "many"\n', r"Expected `int \| object`"),
        ("[snapshots]\nx = 1\n", r"Expected `object`"),
        ("snapshots = 1\n", r"Expected `object`"),
        ("models = 1\n", r"unknown field `models`"),
        ('[aliases]\nx = { snapshot = "y" }\n', r"'x' points to 'y', which is no snapshot"),
        (f'[aliases]\n"{BASE}" = {{ snapshot = "{TINY}" }}\n', r"both an alias and a snapshot"),
        (f'[aliases]\n"a b" = {{ snapshot = "{TINY}" }}\n', r"matching regex"),
    ],
)
def test_a_wrong_file_is_named_and_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ConfigurationError, match=said) as refusal:
        load(tmp_path)
    assert str(tmp_path / "models.toml") in refusal.value.message
    assert refusal.value.fix


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"models\.toml cannot be read"):
        load(tmp_path)
