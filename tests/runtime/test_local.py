"""Engine processes on this machine, with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from antiphon.address import Address
from antiphon.runtime import local
from antiphon.runtime.local import LocalProcess, LocalRuntime, environment
from until import until

SLEEP = "import time; time.sleep(600)"


@pytest.fixture
def runtime(tmp_path: Path) -> LocalRuntime:
    return LocalRuntime(tmp_path / "run", tmp_path / "logs")


def python(code: str, *arguments: str) -> Callable[[Address], list[str]]:
    return lambda address: [sys.executable, "-c", code, *arguments, address.path]


def socket_of(process: LocalProcess) -> Path:
    return Path(process.address.path)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.requirement("R16")
async def test_a_process_has_a_private_folder_and_a_group_of_its_own(runtime: LocalRuntime) -> None:
    process = await runtime.start("engine", python(SLEEP))
    folder = socket_of(process).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert os.getpgid(process.pid) == process.pid
    await process.stop(0)
    assert not folder.exists()


async def test_output_is_logged_and_the_exit_code_told(runtime: LocalRuntime, tmp_path: Path) -> None:
    code = "import sys; print('to stdout', flush=True); print('to stderr', file=sys.stderr); sys.exit(7)"
    process = await runtime.start("org/model:v1", python(code))
    folder = socket_of(process).parent
    assert await process.wait() == 7
    assert (tmp_path / "logs" / "org%2Fmodel%3Av1.log").read_text() == "to stdout\nto stderr\n"
    assert not folder.exists()


@pytest.mark.requirement("R17")
async def test_the_environment_holds_no_secret(
    runtime: LocalRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTIPHON_DATABASE", "HF_TOKEN", "HTTPS_PROXY", "https_proxy", "PYTHONPATH"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    process = await runtime.start("engine", python("import os; print(dict(os.environ))"))
    folder = str(socket_of(process).parent)
    assert await process.wait() == 0
    seen = (tmp_path / "logs" / "engine.log").read_text()
    assert "canary" not in seen
    assert f"'HOME': '{folder}'" in seen and f"'TMPDIR': '{folder}'" in seen
    assert "'OMP_NUM_THREADS': '2'" in seen


def test_the_environment_is_a_list_of_what_is_allowed() -> None:
    given = {"PATH": "/bin", "CT2_VERBOSE": "1", "LC_ALL": "C", "AWS_SECRET": "x", "ANTIPHON_HOME": "x"}
    assert environment(Path("/f"), given).keys() == {
        "PATH", "CT2_VERBOSE", "LC_ALL", "HOME", "TMPDIR", "PARENT_PID", "PYTHONSAFEPATH", "GOMP_SPINCOUNT",
        "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_",
    }  # fmt: skip


def test_where_rays_token_is_may_be_known_but_not_the_token() -> None:
    given = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": "/p",
        "RAY_TLS_CA_CERT": "/c",
        "RAY_USE_TLS": "1",
    }
    secret = {"RAY_AUTH_TOKEN": "canary", "RAY_ADDRESS": "10.0.0.1:6379", "VLLM_API_KEY": "canary"}
    told = environment(Path("/f"), given | secret)
    assert told.items() >= given.items() and not told.keys() & secret.keys()


def test_threads_spin_little_unless_the_operator_says_otherwise() -> None:
    assert environment(Path("/f"), {})["GOMP_SPINCOUNT"] == "2000"
    assert environment(Path("/f"), {"GOMP_SPINCOUNT": "5"})["GOMP_SPINCOUNT"] == "5"


async def test_stop_lets_a_process_end_by_itself(runtime: LocalRuntime) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "open(sys.argv[1], 'w')\n"
        "time.sleep(600)"
    )
    process = await runtime.start("engine", python(code))
    await until(socket_of(process).exists)
    assert await process.stop(10) == 5


async def test_stop_kills_what_ignores_the_request(runtime: LocalRuntime) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "open(sys.argv[1], 'w')\n"
        "time.sleep(600)"
    )
    process = await runtime.start("engine", python(code))
    await until(socket_of(process).exists)
    assert await process.stop(0.2) == -signal.SIGKILL


async def test_stop_ends_a_frozen_process(runtime: LocalRuntime) -> None:
    process = await runtime.start("engine", python(SLEEP))
    os.kill(process.pid, signal.SIGSTOP)
    async with asyncio.timeout(5):
        assert await process.stop(0.1) < 0


async def test_stop_twice_and_after_the_end_is_harmless(runtime: LocalRuntime) -> None:
    process = await runtime.start("engine", python("raise SystemExit(3)"))
    await process.wait()
    assert await process.stop(1) == 3
    assert await process.stop(0) == 3


async def test_what_a_process_started_ends_with_it(runtime: LocalRuntime) -> None:
    code = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"
        "open(sys.argv[1] + '.tmp', 'w').write(str(child.pid))\n"
        "import os; os.rename(sys.argv[1] + '.tmp', sys.argv[1])\n"
        "child.wait()"
    )
    process = await runtime.start("engine", python(code))
    await until(socket_of(process).exists)
    child = int(socket_of(process).read_text())
    assert alive(child)
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    await until(lambda: not alive(child))


async def test_a_long_home_gets_short_sockets(tmp_path: Path) -> None:
    runtime = LocalRuntime(tmp_path / ("long" * 30), tmp_path / "logs")
    process = await runtime.start("engine", python(SLEEP))
    assert len(os.fsencode(socket_of(process))) <= 100
    assert stat.S_IMODE(socket_of(process).parent.stat().st_mode) == 0o700
    await process.stop(0)
    assert not socket_of(process).parent.exists()


async def test_a_missing_executable_leaves_nothing(runtime: LocalRuntime, tmp_path: Path) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError):
        await runtime.start("engine", lambda socket: ["/nowhere/engine"])
    assert list((tmp_path / "run").iterdir()) == []
    await until(lambda: len(os.listdir("/proc/self/fd")) <= open_before)


async def test_a_cancelled_start_leaves_nothing(
    runtime: LocalRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, entered, go, made = tempfile.mkdtemp, threading.Event(), threading.Event(), threading.Event()

    def slow(**options: Any) -> str:
        entered.set()
        go.wait(10)
        folder = str(make(**options))
        made.set()
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", slow)
    mark = f"cancelled-start-{os.getpid()}"
    starting = asyncio.create_task(runtime.start("engine", python(SLEEP, mark)))
    assert await asyncio.to_thread(entered.wait, 10)
    starting.cancel()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert await asyncio.to_thread(made.wait, 10)
    assert list((tmp_path / "run").iterdir()) == []
    running = await asyncio.to_thread(subprocess.run, ["ps", "-eo", "args"], capture_output=True, text=True)
    assert mark not in running.stdout


async def test_folders_of_dead_gateways_go_and_others_stay(
    runtime: LocalRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However deep the folder of the tests is: nothing binds a socket here.
    monkeypatch.setattr(local, "_SOCKET_PATH_MAX", 1000)
    dead = await runtime.start("engine", python(""))
    await dead.wait()
    left = tmp_path / "run" / f"{dead.pid}-abcdefgh"
    other = tmp_path / "run" / f"{os.getppid()}-abcdefgh"
    for folder in (left, other):
        folder.mkdir()
        (folder / "engine.sock").touch()
    process = await runtime.start("engine", python(SLEEP))
    assert not left.exists()
    assert other.exists() and socket_of(process).parent.exists()
    await process.stop(0)


async def test_the_memory_of_a_process_is_told_while_it_runs(runtime: LocalRuntime) -> None:
    process = await runtime.start("engine", python("import sys, time; a = b'x' * 50_000_000; " + SLEEP))
    async with asyncio.timeout(10):
        while (await process.memory() or 0) < 50_000_000:
            await asyncio.sleep(0.05)
    await process.stop(0)
    assert await process.memory() is None
