"""`antiphon models`, as a script and a person see it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import fake_engine
from antiphon import engines
from antiphon.catalogue import pull as pulling
from antiphon.catalogue.catalogue import load
from antiphon.catalogue.choices import choices
from antiphon.catalogue.store import ModelStore
from antiphon.cli.main import app
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings
from antiphon.storage.database import Database
from antiphon.storage.migrations import upgrade
from hub import Hub, serving
from operator_shell import begun
from pretended import BASE, TINY, pretend_installed, write
from sold import instance, put
from tiny_models import whisper_files, write_gguf

SPEECH = f"""task = "speech"
engine = "speech"
owned_by = "acme"
licence = "MIT"
released = 2024-01-01
source = {{ kind = "path", path = "/gone" }}
files = [{{ name = "model.bin", size = 1, sha256 = "{"0" * 64}" }}]
"""

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def invoke(*arguments: str) -> Result:
        result = CliRunner().invoke(app, ["models", *arguments, "--home", str(tmp_path / "home")])
        if isinstance(result.exception, ConfigurationError):
            raise result.exception  # what the entry point turns into one line
        return result

    begun(tmp_path / "home")
    return invoke


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        for name, content in whisper_files().items():
            hub.files["org/speech", name] = content
        yield hub


def listed(run: Run) -> dict[str, dict[str, object]]:
    return {row["id"]: row for row in json.loads(run("list", "--json").stdout)}


def test_list_shows_aliases_and_snapshots(run: Run) -> None:
    rows = listed(run)
    assert rows["whisper-1"] == {
        "id": "whisper-1",
        "kind": "speech",
        "alias_of": "whisper-base-2022-09-21",
        "stand_in": False,
        "installed": False,
        "size": 147_882_941,
        "served": False,
    }
    assert rows["gpt-3.5-turbo-0301"]["stand_in"] is True
    table = run("list").stdout
    assert "gpt-3.5-turbo-16k-0613" in table
    assert "smollm2-135m-instruct-2024-11-01 (stand-in)" in table


def test_a_snapshot_of_the_catalogue_is_pulled_verified_and_removed(run: Run) -> None:
    assert f"{TINY} is installed (78.1 MB)." in run("pull", TINY).stdout
    assert listed(run)[TINY]["installed"] is True
    assert run("verify").stdout == f"{TINY} is whole (78.1 MB)\n"
    assert "is removed" in run("remove", TINY).stdout
    assert listed(run)[TINY]["installed"] is False


def test_pulling_an_alias_pulls_its_snapshot(run: Run) -> None:
    assert "A server that runs starts its engine now." in run("pull", "whisper-1").stdout
    assert listed(run)["whisper-1"]["served"] is True


def test_what_an_alias_means_or_will_mean_is_not_removed(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    pretend_installed(home, BASE, TINY)
    with pytest.raises(ConfigurationError, match=f"'{BASE}' is needed: it is what whisper-1 means"):
        run("remove", BASE)
    run("switch", "whisper-1", TINY, "--at", "2999-01-01")
    for snapshot in (BASE, TINY):
        with pytest.raises(ConfigurationError, match="whisper-1") as refusal:
            run("remove", snapshot)
        assert "antiphon models switch ALIAS" in refusal.value.fix
    run("switch", "whisper-1", TINY)
    assert f"{BASE} is removed" in run("remove", BASE).stdout
    assert (home / "models" / TINY).exists() and not (home / "models" / BASE).exists()


def test_what_is_sold_is_not_removed(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    pretend_installed(home, TINY)

    async def sell(**changes: int) -> None:
        async with Database(Settings(home=str(home)).database_url) as database:
            await upgrade(database)
            await put(database, instance(snapshot=TINY, **changes))

    asyncio.run(sell(begins_at=4_000_000_000))
    with pytest.raises(ConfigurationError, match="it is sold as dedicated_1") as refusal:
        run("remove", TINY)
    assert "antiphon dedicated delete dedicated_1 --org org-1" in refusal.value.fix
    asyncio.run(sell(begins_at=0, ends_at=1))
    assert "is removed" in run("remove", TINY).stdout


def test_what_is_damaged_is_removed_whoever_means_it(run: Run, tmp_path: Path) -> None:
    pretend_installed(tmp_path / "home", BASE)
    (tmp_path / "home" / "models" / BASE / "config.json").unlink()
    assert "is removed" in run("remove", BASE).stdout


def test_what_is_served_elsewhere_has_no_size(run: Run, tmp_path: Path) -> None:
    write(
        tmp_path / "home",
        """
[snapshots.far-2024]
task = "chat"
engine = "openai"
owned_by = "acme"
licence = "MIT"
released = 2024-01-01
context = 4096
serve = true
source = { kind = "upstream", url = "http://10.0.0.5:8000/v1" }
""",
    )
    assert listed(run)["far-2024"]["size"] is None
    [row] = [row for row in run("list").stdout.splitlines() if row.startswith("far-2024")]
    assert row.split() == ["far-2024", "chat", "elsewhere", "yes"]
    with pytest.raises(ConfigurationError, match="served elsewhere"):
        run("verify", "far-2024")


def test_list_goes_on_where_a_replacement_is_gone(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    pretend_installed(home, BASE, TINY)
    gone = f"[snapshots.gone-2024]\nserve = true\n{SPEECH}"
    write(home, gone)
    (home / "models" / "gone-2024").mkdir()
    (home / "models" / "gone-2024" / "model.bin").write_bytes(b"x")
    run("retire", BASE, "--on", "2020-01-01", "--replacement", "gone-2024")
    assert listed(run)["whisper-1"]["alias_of"] == "gone-2024"
    write(home, "")
    assert listed(run)["whisper-1"]["alias_of"] == BASE


def test_a_model_of_the_hub_enters_the_catalogue(run: Run, hub: Hub) -> None:
    result = run("pull", "hf:org/speech", "--name", "speech-1", "--alias", "whisper-1")
    assert "speech-1 is installed" in result.stdout
    assert "model.bin" in result.stderr
    assert listed(run)["whisper-1"]["alias_of"] == "speech-1"


def test_a_path_enters_the_catalogue(run: Run, tmp_path: Path) -> None:
    run("pull", str(write_gguf(tmp_path / "a.gguf", template=None)), "--name", "a-1", "--template", "smollm2")
    assert listed(run)["a-1"]["served"] is True


def test_damage_gives_exit_code_1_and_the_fix(run: Run, tmp_path: Path) -> None:
    run("pull", str(write_gguf(tmp_path / "a.gguf")), "--name", "a-1")
    run("pull", str(write_gguf(tmp_path / "b.gguf", context=64)), "--name", "b-1")
    path = tmp_path / "home" / "models" / "a-1" / "a.gguf"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.unlink()
    path.write_bytes(damaged)
    result = run("verify")
    assert result.exit_code == 1
    assert "a.gguf is damaged" in result.stderr
    assert "Fix: antiphon models pull a-1" in result.stderr
    assert "b-1 is whole" in result.stdout
    assert run("verify", "b-1").exit_code == 0
    run("pull", "a-1")
    assert run("verify").exit_code == 0


def test_verifying_what_is_not_installed_is_no_success(run: Run) -> None:
    result = run("verify", "whisper-1")
    assert result.exit_code == 1
    assert "antiphon models pull whisper-base-2022-09-21" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said", "fix"),
    [
        (("pull", "nonesuch"), "no model 'nonesuch'", "add --name"),
        (("pull", "hf:org/x"), "no model 'hf:org/x'", "add --name"),
        (("verify", "nonesuch"), "no model 'nonesuch'", "models list"),
        (("remove", "nonesuch"), "no files of 'nonesuch'", "models list"),
        (("remove", "../x"), "cannot be a snapshot", "models list"),
    ],
)
def test_what_is_not_there_is_said_with_the_fix(
    run: Run, arguments: tuple[str, ...], said: str, fix: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as refusal:
        run(*arguments)
    assert fix in refusal.value.fix


MAKES = "import pathlib, sys; out = pathlib.Path(sys.argv[2]); out.mkdir(); (out / 'weights').touch()"
FAILS = "import sys; sys.exit('this architecture is not known')"


@pytest.mark.parametrize(("program", "engine"), [(MAKES, "fast"), (FAILS, "able")])
def test_pull_prepares_a_model_for_its_engines_or_goes_on_without(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, engine: str
) -> None:
    def preparation(model: Path, out: Path) -> list[str]:
        return [sys.executable, "-c", program, str(model), str(out)]

    kinds = [fake_engine.kind(name="fast", preparation=preparation), fake_engine.kind(name="able")]
    monkeypatch.setattr(engines, "kinds", lambda: {kind.name: kind for kind in kinds})
    monkeypatch.setattr(pulling, "_ENGINES", {("chat", "gguf"): ("fast", "able")})
    write_gguf(tmp_path / "m.gguf")
    result = run("pull", str(tmp_path / "m.gguf"), "--name", "mine-2024")
    assert result.exit_code == 0
    assert ("served without fast" in result.stderr) == (engine == "able")
    assert "Making mine-2024 ready for fast, once." in result.stderr
    home = tmp_path / "home"
    entry = load(home).entries["mine-2024"]
    assert [choice.kind.name for choice in choices(entry, ModelStore(home), Settings())] == [engine]
    run("remove", "mine-2024")
    assert list((home / "models" / ".prepared").iterdir()) == []


def test_without_another_engine_a_model_that_cannot_be_prepared_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = fake_engine.kind(name="fast", preparation=lambda model, out: [sys.executable, "-c", FAILS])
    monkeypatch.setattr(engines, "kinds", lambda: {"fast": kind})
    monkeypatch.setattr(pulling, "_ENGINES", {("chat", "gguf"): "fast"})
    write_gguf(tmp_path / "m.gguf")
    with pytest.raises(ConfigurationError, match="could not be prepared: this architecture is not known"):
        run("pull", str(tmp_path / "m.gguf"), "--name", "mine-2024")
