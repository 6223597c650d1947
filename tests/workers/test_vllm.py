"""The launcher of vLLM: its command line, its environment, and that nothing of it outlives the gateway."""

from __future__ import annotations

import asyncio
import getpass
import os
import signal
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import psutil

from addresses import unix
from antiphon.address import Address
from antiphon.workers.vllm import command, environment
from fake_vllm import program
from until import until

COMMAND = [sys.executable, "-m", "antiphon.workers.vllm"]


def given(folder: Path, **changed: object) -> Namespace:
    values = {
        "program": "/opt/vllm",
        "listen": unix(folder / "s"),
        "model": folder / "model",
        "name": "model",
        "context": 1024,
        "slots": 2,
        "cache_tokens": 0,
        "set": [],
    }
    return Namespace(**values | changed)


def argv(folder: Path, vllm: Path) -> list[str]:
    flags = vars(given(folder, program=vllm, home=folder / "home"))
    words = ((f"--{name.replace('_', '-')}", str(value)) for name, value in flags.items() if name != "set")
    return [*COMMAND, *(word for pair in words for word in pair)]


def test_what_vllm_is_told(tmp_path: Path) -> None:
    told = command(given(tmp_path))
    assert told[:3] == ["/opt/vllm", "serve", str(tmp_path / "model")]
    for flag, value in (("--uds", str(tmp_path / "s")), ("--max-model-len", "1024"), ("--max-num-seqs", "2")):
        assert told[told.index(flag) + 1] == value
    assert "--trust-remote-code" not in told and "--num-gpu-blocks-override" not in told
    bounded = command(given(tmp_path, cache_tokens=1000))
    assert bounded[bounded.index("--num-gpu-blocks-override") + 1] == "16"
    assert bounded[bounded.index("--block-size") + 1] == "64"
    several = command(given(tmp_path, set=["tensor-parallel-size=2", "enforce-eager"]))
    assert several[-2:] == ["--tensor-parallel-size=2", "--enforce-eager"]


def test_by_tcp_it_is_guarded(tmp_path: Path) -> None:
    told = command(given(tmp_path, listen=Address(host="10.0.0.1", port=8100, secret="s3cret")))
    assert "--uds" not in told and not any("s3cret" in word for word in told)
    for flag, value in (("--host", "10.0.0.1"), ("--port", "8100"), ("--middleware", "antiphon_guard.Guard")):
        assert told[told.index(flag) + 1] == value
    folder = environment(tmp_path, given={})["PYTHONPATH"]
    program = f"import sys; sys.path.insert(0, {folder!r}); import antiphon_guard"
    subprocess.run([sys.executable, "-I", "-c", program], check=True)
    modules = {name for name in os.listdir(folder) if name != "__pycache__"}
    assert modules == {"__init__.py", "antiphon_guard.py"}, "vLLM could import them in the place of its own"


def test_what_its_environment_says(tmp_path: Path) -> None:
    told = environment(
        tmp_path,
        given={"PATH": "/bin", "HOME": "/private", "VLLM_SERVER_DEV_MODE": "0", "HF_HUB_OFFLINE": "0"},
    )
    assert told["PATH"] == "/bin" and told["HOME"] == str(tmp_path)
    assert told["VLLM_SERVER_DEV_MODE"] == told["VLLM_NO_USAGE_STATS"] == told["HF_HUB_OFFLINE"] == "1"
    assert environment(tmp_path, given={"VLLM_CACHE_ROOT": "/own"})["VLLM_CACHE_ROOT"] == "/own"
    assert not any(name.startswith("RAY_") for name in told)


def test_it_joins_a_cluster_as_the_user_does(tmp_path: Path) -> None:
    told = environment(tmp_path, "10.0.0.1:6379", {})
    assert told["RAY_ADDRESS"] == "10.0.0.1:6379" and told["RAY_AUTH_MODE"] == "token"
    assert told["RAY_AUTH_TOKEN_PATH"] == str(Path(f"~{getpass.getuser()}/.ray/auth_token").expanduser())
    own = {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN_PATH": "/etc/ray", "RAY_ADDRESS": "elsewhere"}
    assert (
        environment(tmp_path, "10.0.0.1:6379", own).items()
        >= (own | {"RAY_ADDRESS": "10.0.0.1:6379"}).items()
    )


def test_its_exit_is_ours(tmp_path: Path) -> None:
    done = subprocess.run(argv(tmp_path, program(tmp_path, exit=7)), timeout=30)
    assert done.returncode == 7


PARENT = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True).wait()"


async def test_it_ends_when_its_group_is_ended(tmp_path: Path) -> None:
    vllm = program(tmp_path, lasting=True)
    launcher = await asyncio.create_subprocess_exec(*argv(tmp_path, vllm), start_new_session=True)
    await until((tmp_path / "s").exists)
    [process] = psutil.Process(launcher.pid).children()
    os.killpg(launcher.pid, signal.SIGTERM)
    async with asyncio.timeout(30):
        assert await launcher.wait() == 128 + signal.SIGTERM
    assert not process.is_running()


async def test_it_ends_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, *argv(tmp_path, program(tmp_path, lasting=True))]
    parent = await asyncio.create_subprocess_exec(*command)
    await until((tmp_path / "s").exists)
    [launcher] = psutil.Process(parent.pid).children()
    [process] = launcher.children()
    parent.kill()
    await parent.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, [launcher, process], timeout=10)
    assert alive == []
