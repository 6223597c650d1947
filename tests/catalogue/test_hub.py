"""Downloads from the hub: interrupted ones go on, wrong ones are refused, keys stay at home."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from antiphon.catalogue.entries import Entry, File, HubSource
from antiphon.catalogue.hub import describe
from antiphon.catalogue.store import ModelStore
from antiphon.errors import ConfigurationError
from hub import COMMIT, Hub, serving

# The client keeps what it receives in pieces of 10 MB, so a cut shows only beyond the first.
CONTENT = bytes(range(256)) * 80_000
CUT = 15_000_000


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        hub.files["org/tiny", "tiny.gguf"] = CONTENT
        yield hub


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path)


@pytest.fixture
def entry() -> Entry:
    return Entry(
        id="tiny-1",
        task="chat",
        engine="llama",
        owned_by="org",
        licence="MIT",
        released=date(2024, 1, 1),
        context=512,
        source=HubSource(repo="org/tiny", revision=COMMIT),
        files=(File(name="tiny.gguf", size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest()),),
    )


def test_a_file_arrives_whole_and_says_how_far_it_is(hub: Hub, store: ModelStore, entry: Entry) -> None:
    seen: list[tuple[str, int, int]] = []
    store.install(entry, lambda *how_far: seen.append(how_far))
    store.verify(entry)
    assert store.path(entry).read_bytes() == CONTENT
    assert (seen[0], seen[-1]) == (("tiny.gguf", 0, len(CONTENT)), ("tiny.gguf", len(CONTENT), len(CONTENT)))
    assert hub.ranges() == [None]


def test_a_connection_that_breaks_is_taken_up_where_it_broke(
    hub: Hub, store: ModelStore, entry: Entry
) -> None:
    hub.cut_after = CUT
    store.install(entry)
    store.verify(entry)
    first, second = hub.ranges()
    assert first is None
    assert second is not None and 0 < _start(second) <= CUT


def test_a_download_given_up_goes_on_at_the_next_pull(
    hub: Hub, store: ModelStore, entry: Entry, tmp_path: Path
) -> None:
    _interrupt(hub, store, entry, tmp_path)
    hub.broken = False
    store.install(entry)
    store.verify(entry)
    assert _start(hub.ranges()[-1] or "") > 0
    assert not list((tmp_path / "models" / ".partial").rglob("tiny.gguf*"))


def test_a_server_that_cannot_go_on_sends_it_all_again(
    hub: Hub, store: ModelStore, entry: Entry, tmp_path: Path
) -> None:
    _interrupt(hub, store, entry, tmp_path)
    hub.broken, hub.ignores_ranges = False, True
    store.install(entry)
    store.verify(entry)


def test_an_unfinished_file_that_is_damaged_is_refused_and_then_brought_anew(
    hub: Hub, store: ModelStore, entry: Entry, tmp_path: Path
) -> None:
    unfinished = _interrupt(hub, store, entry, tmp_path)
    unfinished.write_bytes(bytes(unfinished.stat().st_size))
    hub.broken = False
    with pytest.raises(ConfigurationError, match=r"tiny\.gguf was refused: sha256"):
        store.install(entry)
    store.install(entry)
    store.verify(entry)


def test_another_file_than_the_catalogue_names_is_refused(hub: Hub, store: ModelStore, entry: Entry) -> None:
    hub.files["org/tiny", "tiny.gguf"] = CONTENT[::-1]
    with pytest.raises(ConfigurationError, match=f"expected {entry.files[0].sha256}"):
        store.install(entry)
    assert not store.installed(entry)


@pytest.mark.requirement("R5")
def test_a_token_goes_to_the_hub_and_no_further(
    hub: Hub, store: ModelStore, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    store.install(entry)
    assert hub.tokens == {"Bearer hf_secret"}
    assert hub.strangers_saw == []


def test_a_repository_is_described_at_its_commit(hub: Hub) -> None:
    hub.files["org/tiny", "README.md"] = b"hello"
    found = describe("org/tiny", "main")
    assert found.source == HubSource(repo="org/tiny", revision=COMMIT)
    assert (found.licence, found.modified) == ("apache-2.0", date(2024, 11, 1))
    assert {file.path: (file.size, file.sha256) for file in found.files} == {
        "tiny.gguf": (len(CONTENT), hashlib.sha256(CONTENT).hexdigest()),
        "README.md": (5, None),
    }


@pytest.mark.parametrize(
    ("repo", "revision", "said"),
    [
        ("org/none", "main", "There is no hf:org/none"),
        ("org/tiny", "v9", "hf:org/tiny has no such file or revision"),
        ("org/..", "main", "hf:org/.. could not be read"),
    ],
)
def test_what_the_hub_does_not_have_is_said_in_one_line(
    hub: Hub, repo: str, revision: str, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as refusal:
        describe(repo, revision)
    assert "\n" not in refusal.value.message


def test_a_hub_that_does_not_answer_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as gone:
        monkeypatch.setenv("HF_ENDPOINT", gone.endpoint)
    with pytest.raises(ConfigurationError, match="could not be read") as refusal:
        describe("org/tiny", "main")
    assert "HF_ENDPOINT" in refusal.value.fix


def _interrupt(hub: Hub, store: ModelStore, entry: Entry, home: Path) -> Path:
    """A pull whose connection breaks and whose hub then fails; gives the file it leaves."""
    hub.cut_after, hub.broken_after_cut = CUT, True
    with pytest.raises(ConfigurationError, match="could not be read"):
        store.install(entry)
    assert not store.installed(entry)
    (unfinished,) = (home / "models" / ".partial").rglob("tiny.gguf*")
    assert 0 < unfinished.stat().st_size <= CUT
    return unfinished


def _start(range: str) -> int:
    return int(range.removeprefix("bytes=").removesuffix("-"))
