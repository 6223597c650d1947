"""Models that the operator names: what is taken, what is refused, and what is written down."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon.catalogue.catalogue import load
from antiphon.catalogue.entries import HubSource, PathSource
from antiphon.catalogue.pull import pull
from antiphon.catalogue.store import ModelStore
from antiphon.engines.openvino import ENGINE
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings
from hub import COMMIT, Hub, serving
from hugging_face import write_tiny
from tiny_models import whisper_files, write_bert, write_gguf, write_whisper


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        hub.files["org/chat", "q4/tiny.gguf"] = write_gguf(tmp_path / "hub.gguf", context=32_768).read_bytes()
        hub.files["org/chat", "README.md"] = b"hello"
        for name, content in whisper_files().items():
            hub.files["org/speech", name] = content
        yield hub


def test_a_chat_model_of_the_hub_is_pinned_and_served(hub: Hub, home: Path) -> None:
    pull(home, "hf:org/chat", "tiny-2024-11-01", alias="gpt-4")
    catalogue, store = load(home), ModelStore(home)
    entry = catalogue.resolve("gpt-4")
    store.verify(entry)
    assert entry == catalogue.resolve("tiny-2024-11-01")
    assert entry.source == HubSource(repo="org/chat", revision=COMMIT)
    assert (entry.task, entry.context, entry.owned_by, entry.licence) == ("chat", 8192, "org", "apache-2.0")
    assert entry.files[0].parts == ("q4/tiny.gguf",)
    deployment, *alternatives = catalogue.deployments(store, Settings())
    assert {one.engine for one in (deployment, *alternatives)} <= {"openvino", "llama"}
    assert deployment.slots == {"openvino": 32, "llama": 4}[deployment.engine]
    assert deployment.model.read_bytes() == hub.files["org/chat", "q4/tiny.gguf"]


def test_a_file_and_a_revision_can_be_named(hub: Hub, home: Path) -> None:
    hub.files["org/chat", "q8/tiny.gguf"] = b"GGUF of another size"
    with pytest.raises(ConfigurationError, match="holds 2 GGUF files") as refusal:
        pull(home, "hf:org/chat", "tiny-1")
    assert "q4/tiny.gguf, q8/tiny.gguf" in refusal.value.fix
    entry = pull(home, f"hf:org/chat/q4/tiny.gguf@{COMMIT}", "tiny-1")
    assert entry.files[0].parts == ("q4/tiny.gguf",)


def test_a_whisper_model_of_the_hub_is_served(hub: Hub, home: Path) -> None:
    pull(home, "hf:org/speech", "whisper-2024", alias="whisper-1")
    catalogue = load(home)
    entry = catalogue.resolve("whisper-1")
    assert (entry.id, entry.task, entry.engine) == ("whisper-2024", "speech", "speech")
    assert {file.name for file in entry.files} == set(whisper_files())
    ModelStore(home).verify(entry)


def test_a_removed_model_can_be_pulled_again_by_name(hub: Hub, home: Path) -> None:
    entry, store = pull(home, "hf:org/speech", "whisper-2024"), ModelStore(home)
    store.remove(entry.id)
    assert entry.id not in load(home).installed
    store.install(load(home).entries[entry.id])
    store.verify(entry)


def test_a_file_whose_hash_is_not_the_one_that_the_hub_states_is_refused(hub: Hub, home: Path) -> None:
    hub.claimed["q4/tiny.gguf"] = "0" * 64
    with pytest.raises(ConfigurationError, match=f"expected {'0' * 64}"):
        pull(home, "hf:org/chat", "tiny-1")
    assert "tiny-1" not in load(home).entries
    assert not list(home.rglob("tiny.gguf*"))


def test_an_interrupted_pull_goes_on_under_the_same_name(hub: Hub, home: Path) -> None:
    hub.files["org/speech", "model.bin"] += bytes(20_000_000)
    hub.cut_after, hub.broken_after_cut = 15_000_000, True
    with pytest.raises(ConfigurationError, match="could not be read"):
        pull(home, "hf:org/speech", "tiny-1")
    assert "tiny-1" not in load(home).entries
    hub.broken = False
    ModelStore(home).verify(pull(home, "hf:org/speech", "tiny-1"))
    assert hub.ranges()[-1] not in (None, "bytes=0-")


def test_a_gguf_file_of_this_machine_is_served(tmp_path: Path, home: Path) -> None:
    path = write_gguf(tmp_path / "mine.gguf", context=1024)
    pull(home, str(path), "mine-1")
    entry = load(home).resolve("mine-1")
    assert entry.source == PathSource(path=str(tmp_path))
    assert (entry.context, entry.owned_by, entry.licence) == (1024, "local", "mit")


def test_an_embedding_model_is_served_by_the_engine_of_embeddings(tmp_path: Path, home: Path) -> None:
    path = write_bert(tmp_path / "bert.gguf", context=4096, width=32)
    pull(home, str(path), "bert-1", alias="text-embedding-3-small", template="smollm2")
    catalogue = load(home)
    entry = catalogue.resolve("text-embedding-3-small")
    assert (entry.task, entry.context, entry.pooling, entry.dimensions) == ("embedding", 2048, "cls", (32,))
    assert entry.template is None
    [deployment] = catalogue.deployments(ModelStore(home), Settings())
    assert (deployment.engine, deployment.slots, deployment.options) == (
        "llama_embeddings",
        8,
        {"pooling": "cls"},
    )
    assert "bert-1" in [model.id for model in catalogue.models()]


def test_a_ctranslate2_folder_of_this_machine_is_served(tmp_path: Path, home: Path) -> None:
    write_whisper(tmp_path / "origin")
    (tmp_path / "origin" / "notes.txt").write_text("not of the model")
    entry = pull(home, str(tmp_path / "origin"), "mine-1")
    shutil.rmtree(tmp_path / "origin")
    ModelStore(home).verify(load(home).resolve("mine-1"))
    assert "notes.txt" not in [file.name for file in entry.files]


def test_a_folder_of_the_hub_is_served_with_every_file_pinned(hub: Hub, home: Path, tmp_path: Path) -> None:
    for path in write_tiny(tmp_path / "model").iterdir():
        hub.files["org/folder", path.name] = path.read_bytes()
    hub.files["org/folder", "modeling_tiny.py"] = b"raise SystemExit"
    pull(home, "hf:org/folder", "tiny-2024", alias="gpt-4")
    entry, store = load(home).resolve("gpt-4"), ModelStore(home)
    store.verify(entry)
    assert (entry.format, entry.context, entry.licence) == ("safetensors", 512, "apache-2.0")
    wanted = {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"}
    assert {file.name for file in entry.files} == {*wanted, "model.safetensors"}
    assert not list(home.rglob("*.py"))
    assert store.path(entry) == home / "models" / "tiny-2024"
    (store.path(entry) / "config.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"config\.json is damaged"):
        store.verify(entry)


@pytest.mark.skipif(bool(ENGINE.absent(Settings())), reason="there is no OpenVINO here")
def test_a_folder_of_this_machine_is_served(home: Path, tmp_path: Path) -> None:
    pull(home, str(write_tiny(tmp_path / "model")), "mine-1")
    [deployment, *_] = load(home).deployments(ModelStore(home), Settings())
    assert deployment.model == home / "models" / "mine-1" and deployment.slots > 1
    assert (deployment.prepared is None) == (deployment.engine == "vllm")


def test_the_operators_own_text_stays(tmp_path: Path, home: Path) -> None:
    own = '# mine\n[aliases]\n"small" = { snapshot = "whisper-tiny.en-2022-09-21" }  # keep'
    (home / "models.toml").write_text(own)
    pull(home, str(write_gguf(tmp_path / "a.gguf")), "a-1", alias="b:c/d")
    pull(home, str(write_gguf(tmp_path / "b.gguf")), "b-1", template="smollm2")
    assert (home / "models.toml").read_text().startswith(own)
    catalogue = load(home)
    assert set(catalogue.aliases) >= {"small", "b:c/d", "gpt-3.5-turbo"}
    assert catalogue.resolve("b-1").template == "smollm2"


def test_a_file_whose_tables_are_closed_is_left_alone(tmp_path: Path, home: Path) -> None:
    own = 'aliases = { small = { snapshot = "whisper-tiny.en-2022-09-21" } }\n'
    (home / "models.toml").write_text(own)
    with pytest.raises(ConfigurationError, match="cannot be added to"):
        pull(home, str(write_gguf(tmp_path / "a.gguf")), "a-1", alias="b")
    assert (home / "models.toml").read_text() == own


def test_a_model_without_a_chat_template_needs_one_named(tmp_path: Path, home: Path) -> None:
    path = str(write_gguf(tmp_path / "base.gguf", template=None))
    with pytest.raises(ConfigurationError, match="no chat template") as refusal:
        pull(home, path, "base-1")
    assert "--template" in refusal.value.fix
    assert "base-1" not in load(home).entries
    with pytest.raises(ConfigurationError, match="There is no chat template '../smollm2'"):
        pull(home, path, "base-1", template="../smollm2")
    assert pull(home, path, "base-1", template="smollm2").template == "smollm2"


@pytest.mark.parametrize(
    ("name", "alias", "said"),
    [
        ("../x", None, "cannot be a name"),
        ("x-1", "a b", "cannot be a name"),
        ("whisper-base-2022-09-21", None, "already, and a snapshot never changes"),
        ("gpt-3.5-turbo", None, "already"),
        ("x-1", "x-1", "The name 'x-1' is taken"),
        ("x-1", "whisper-base-2022-09-21", "is taken"),
        ("x-1", "mine", "The name 'mine' is taken"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_before_anything_is_brought(
    tmp_path: Path, home: Path, name: str, alias: str | None, said: str
) -> None:
    (home / "models.toml").write_text('[aliases]\nmine = { snapshot = "whisper-tiny.en-2022-09-21" }\n')
    with pytest.raises(ConfigurationError, match=said):
        pull(home, str(write_gguf(tmp_path / "x.gguf")), name, alias=alias)
    assert not (home / "models").exists()
