"""What is hidden from an engine and what is not, by its command; and a real process that was started so."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from antiphon import engines
from antiphon.address import Address
from antiphon.app.work import tell_of_isolation
from antiphon.cli.checks import machine
from antiphon.runtime import isolation
from antiphon.runtime.isolation import LAUNCHER
from antiphon.runtime.local import LocalRuntime
from antiphon.settings import Settings

SOCKET = "run/1-own/engine.sock"


def options(command: list[str]) -> list[str]:
    """Those of the launcher, of which the memory is the machine's."""
    assert command[:4] == [sys.executable, "-I", "-S", str(LAUNCHER)]
    given = command[4 : command.index("--")]
    at = given.index("--memory")
    assert int(given[at + 1]) >= 8 * 1024**3
    return given[:at] + given[at + 2 :]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    for name in ("models/m", "keys", "journal", "run/1-own"):
        (folder / name).mkdir(parents=True)
    return folder


def test_an_engine_sees_its_own_folder_and_what_its_command_names(home: Path) -> None:
    command = [sys.executable, "-m", "x", f"--listen=unix:{home}/{SOCKET}", "--model", f"{home}/models/m/f"]
    made = isolation.apart(command, Address(path=f"{home}/{SOCKET}"), "all", Settings(home=str(home)))
    assert options(made) == ["--home", str(home), "--keep", "models", "--keep", "run/1-own"]
    assert made[made.index("--") + 1 :] == command
    several = [sys.executable, "--model", f"one=/elsewhere/m,two={home}/models/m"]
    made = isolation.apart(several, Address(path=f"{home}/{SOCKET}"), "all", Settings(home=str(home)))
    assert options(made) == ["--home", str(home), "--keep", "models", "--keep", "run/1-own"]
    relay = [sys.executable, f"--key-file={home}/keys/k"]
    made = isolation.apart(relay, Address(path=f"{home}/{SOCKET}"), "files", Settings(home=str(home)))
    assert options(made) == ["--network", "--home", str(home), "--keep", "keys", "--keep", "run/1-own"]


def test_what_a_link_leads_to_is_seen(home: Path) -> None:
    (home / "models/m").rmdir()
    (home / "models").rmdir()
    (home / "large/m").mkdir(parents=True)
    (home / "models").symlink_to("large")
    made = isolation.preparing([sys.executable, f"{home}/models/m"], home)
    assert options(made) == ["--home", str(home), "--keep", "large", "--keep", "models"]


def test_what_listens_to_others_is_started_as_it_is(home: Path) -> None:
    address = Address(host="10.0.0.1", port=5000, secret="s")
    assert isolation.apart(["x"], address, "all", Settings(home=str(home))) == ["x"]


def test_what_is_to_keep_everything_has_its_limits_alone(home: Path) -> None:
    made = isolation.apart(
        [sys.executable], Address(path=f"{home}/{SOCKET}"), "nothing", Settings(home=str(home))
    )
    assert made[4:] == ["--network", "--", sys.executable]


def test_a_program_all_about_the_data_folder_is_not_hidden(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "thing.py").touch()
    monkeypatch.syspath_prepend(str(home))
    assert options(isolation.preparing([sys.executable], home)) == []
    assert isolation.exposed(home)


def test_a_data_folder_that_antiphon_is_started_in_is_hidden(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `python -m antiphon` in it does: the folder is the first place to import from."""
    monkeypatch.syspath_prepend(str(home))
    assert options(isolation.preparing([sys.executable], home)) == ["--home", str(home)]
    assert isolation.exposed(home) == "" == isolation.exposed(home / "not-made-yet")
    monkeypatch.setattr(sys, "prefix", str(home))
    assert "not cut off from the data folder" in isolation.exposed(home)
    told = machine.isolation(Settings(home=str(home)))
    assert told.state == "warning" and "not cut off from the data folder" in told.detail


async def test_that_it_is_not_hidden_is_said_at_the_start(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "prefix", str(home))
    await tell_of_isolation(Settings(home=str(home)))
    assert "engines are not cut off from the data folder: " in caplog.text


def test_what_is_not_there_is_started_as_it_is(home: Path) -> None:
    assert isolation.preparing(["/nowhere/x"], home) == ["/nowhere/x"]


def test_every_kind_says_what_it_is_cut_off_from() -> None:
    kinds = engines.kinds()
    assert {name for name, kind in kinds.items() if kind.apart == "files"} == {"openai_speech"}
    assert {name for name, kind in kinds.items() if kind.apart == "nothing"} == {"vllm"}


@pytest.mark.skipif(bool(isolation.lacking()), reason="this machine does not permit it")
@pytest.mark.requirement("R17")
async def test_a_running_engine_has_no_network_no_secret_and_no_other_s_files(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTIPHON_PEPPER", "canary")
    (home / "pepper").write_text("canary")
    code = (
        "import os, socket, sys\n"
        "home = os.path.dirname(sys.argv[2])\n"
        "print(sorted(name for _, name in socket.if_nameindex()), sorted(os.listdir(home)))\n"
        "print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1], 'canary' in str(os.environ))\n"
        "socket.socket(socket.AF_UNIX).bind(sys.argv[1])\n"
    )
    runtime, settings = LocalRuntime(home / "run", home / "logs"), Settings(home=str(home))
    process = await runtime.start(
        "engine",
        lambda at: isolation.apart(
            [sys.executable, "-c", code, at.path, f"{home}/models"], at, "all", settings
        ),
    )
    assert await process.wait() == 0
    said = (home / "logs/engine.log").read_text()
    kept = "'models', 'run'" if str(home) in process.address.path else "'models'"
    assert said == f"['lo'] [{kept}]\n[0, 1, 2] False\n"


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="takes root, which gives up rights"
)
def test_what_is_lacking_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    launched = isolation._launched
    monkeypatch.setattr(
        isolation,
        "_launched",
        lambda command, options: ["setpriv", "--bounding-set=-all", *launched(command, options)],
    )
    told = isolation.lacking()
    assert not told or told.startswith("not cut off from ")
