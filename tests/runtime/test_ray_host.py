"""The actor of an engine, without a cluster: it is an object like any other."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from antiphon.address import Address
from antiphon.runtime.ray_host import argument_list, private_folder
from until import until

LEASE = 1.0
SECONDS = 10.0
HOLDER = """
import asyncio, sys
import fake_engine
from antiphon.runtime import ray_host

ray_host._machine = lambda: "here"

async def main():
    host = ray_host.Host("127.0.0.1", lease=float(sys.argv[1]))
    command = fake_engine.command(ray_host.ADDRESS)
    address, pid, machine = await host.start("engine", [ray_host.PYTHON, *command[1:]])
    print(pid, address.host, machine, flush=True)
    for _ in range(int(sys.argv[2])):
        await asyncio.sleep(0.2)
        await host.beat()
    print("silent", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def test_what_is_known_only_there_is_filled_in() -> None:
    address = Address(host="10.0.0.2", port=4242, secret="s")
    words = ["{python}", "-m", "engine", "--listen={address}", "--python", "{python}.", "{other}"]
    assert argument_list(words, address) == [
        sys.executable, "-m", "engine", "--listen=tcp:10.0.0.2:4242", "--python", "{python}.", "{other}",
    ]  # fmt: skip


def test_a_folder_that_others_may_enter_or_have_made_is_refused(tmp_path: Path) -> None:
    assert private_folder(private_folder(tmp_path / "new")).stat().st_mode & 0o077 == 0
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    (tmp_path / "link").symlink_to(tmp_path / "new")
    for name in ("open", "link"):
        with pytest.raises(PermissionError, match="not a private folder"):
            private_folder(tmp_path / name)


def may_raise() -> bool:
    """Whether this user may have a process run before others again that was to run after them."""
    code = "import os; os.setpriority(os.PRIO_PROCESS, 0, 0)"
    return not subprocess.run(["nice", "-n", "5", sys.executable, "-c", code], capture_output=True).returncode


@pytest.mark.parametrize("beats", [0, 15])
async def test_it_ends_with_its_lease_and_takes_the_engine_along(beats: int, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)}
    holder = await asyncio.create_subprocess_exec(
        "nice", "-n", "15", sys.executable, "-c", HOLDER, str(LEASE), str(beats),
        stdout=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    assert holder.stdout is not None
    pid, host, machine = (await holder.stdout.readline()).decode().split()
    assert (host, machine) == ("127.0.0.1", "here")
    engine = psutil.Process(int(pid))
    assert engine.nice() == (0 if may_raise() else 15), "Ray has its workers run after everything else"
    # Renewed for three times as long as it lasts.
    assert await holder.stdout.readline() == b"silent\n"
    assert holder.returncode is None
    async with asyncio.timeout(SECONDS):
        assert await holder.wait() == 1
    await until(lambda: not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE, SECONDS)
