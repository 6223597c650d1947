"""`antiphon import`, as the operator uses it."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from antiphon.catalogue.catalogue import load
from antiphon.cli.import_ import imports
from antiphon.cli.output import CommandFailed
from antiphon.errors import ConfigurationError

CONFIG = """
model_list:
  - model_name: house
    litellm_params:
      model: hosted_vllm/org/m
      api_base: os.environ/HOUSE_URL
      api_key: os.environ/HOUSE_KEY
  - model_name: hosted
    litellm_params: {model: openai/gpt, api_key: sk-secret-literal}
  - model_name: qwen
    litellm_params: {model: vllm/Qwen/Qwen2.5}
general_settings: {master_key: sk-secret-master}
"""
ENVIRONMENT = "HOUSE_URL=http://10.0.0.5:8000/v1\nHOUSE_KEY=sk-secret-house\n"
IDS = {"m-at-10.0.0.5-8000", "gpt-at-api.openai.com"}

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in ("HOUSE_URL", "HOUSE_KEY", "ANTIPHON_UPSTREAMS", "ANTIPHON_DATABASE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / ".env").write_text(ENVIRONMENT)

    def invoke(*more: str, env_file: str = ".env") -> Result:
        words = ["litellm", str(tmp_path / "config.yaml"), "--home", str(tmp_path / "home"), *more]
        words += ["--env-file", str(tmp_path / env_file)] if env_file else []
        result = CliRunner().invoke(imports, words)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception  # what the entry point turns into one line
        assert "sk-secret" not in result.output
        return result

    return invoke


def test_a_plan_tells_all_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    said = run().stdout
    home = tmp_path / "home"
    assert not home.exists()
    for told in (
        "means m-at-10.0.0.5-8000",
        "there is no master key",
        f"printenv HOUSE_KEY > {home}/upstream-keys/HOUSE_KEY)",
        f"cat > {home}/upstream-keys/api.openai.com)",
        "config.yaml says at model_list[1].litellm_params.api_key",
        'upstreams = "http://10.0.0.5:8000 https://api.openai.com:443"',
        "antiphon models pull hf:Qwen/Qwen2.5 --name qwen2.5 --alias qwen",
        "its context is taken to be 8,192 tokens",
        "nobody's key can be taken over",
        f"Nothing was written. --apply adds 2 snapshots and 2 names to {home}/models.toml.",
    ):
        assert told in said


def test_what_is_applied_is_in_the_catalogue_and_a_second_time_changes_nothing(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "home" / "models.toml"
    path.parent.mkdir()
    path.write_text("# mine\n[aliases]\n")
    assert "has 2 snapshots and 2 names more" in run("--apply").stdout
    first = path.read_text()
    assert first.startswith("# mine\n[aliases]\n")
    catalogue = load(tmp_path / "home")
    assert catalogue.served >= IDS and catalogue.meaning("house") == "m-at-10.0.0.5-8000"
    assert "There is nothing new for" in run("--apply").stdout
    assert path.read_text() == first
    assert not any("sk-secret" in found.read_text(errors="replace") for found in path.parent.glob("*"))


def test_what_is_done_is_not_asked_for_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "home" / "upstream-keys"
    keys.mkdir(parents=True)
    for name in ("HOUSE_KEY", "api.openai.com"):
        (keys / name).write_text("k")
    monkeypatch.setenv("ANTIPHON_UPSTREAMS", "http://10.0.0.5:8000 https://api.openai.com")
    said = run().stdout
    assert "upstream-keys" not in said and "upstreams =" not in said


def test_the_commands_for_keys_do_what_they_say(run: Run, tmp_path: Path) -> None:
    lines = [line.strip() for line in run().stdout.splitlines()]
    commands = [line for line in lines if line.startswith("set -a") or "printenv" in line]
    subprocess.run(["sh", "-ec", "\n".join(commands)], check=True, timeout=10)
    put = tmp_path / "home" / "upstream-keys" / "HOUSE_KEY"
    assert put.read_text() == "sk-secret-house\n"
    assert stat.S_IMODE(put.stat().st_mode) == 0o600 and stat.S_IMODE(put.parent.stat().st_mode) == 0o700


def test_json_is_the_whole_plan(run: Run) -> None:
    found = json.loads(run("--json", "--context", "1000").stdout)
    assert {one["id"] for one in found["snapshots"]} == IDS and found["written"] is False
    assert [one["context"] for one in found["snapshots"]] == [1000, 1000]
    assert [line["fate"] for line in found["lines"]] == ["added", "added", "to pull", "none"]


def test_a_missing_variable_and_a_missing_file_are_named(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"model_list\[0\]\.litellm_params\.api_base is to be taken"):
        run(env_file="")
    with pytest.raises(CommandFailed, match=r"absent cannot be read: No such file"):
        run(env_file="absent")
    (tmp_path / "config.yaml").write_bytes(b"\xff")
    with pytest.raises(CommandFailed, match="no text in UTF-8"):
        run()


def test_a_models_toml_that_cannot_be_added_to_stays_as_it_is(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "home" / "models.toml"
    path.parent.mkdir()
    path.write_text("aliases = {}\n")
    with pytest.raises(ConfigurationError, match="cannot be added to"):
        run("--apply")
    assert path.read_text() == "aliases = {}\n"
