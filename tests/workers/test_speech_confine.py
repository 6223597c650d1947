"""A confined process tries what a captured decoder would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ATTEMPTS = {
    "file": ("open('/etc/passwd')", "Too many open files"),
    "socket": ("socket.socket()", "Too many open files"),
    "memory": ("bytearray(192 * 1024 * 1024)", "MemoryError"),
    "process": ("subprocess.run(['true'])", "Too many open files"),
    "write": ("os.write(kept, b'x')", "File too large"),
    "limits": ("resource.setrlimit(resource.RLIMIT_CORE, (1, 1)) if os.geteuid() else 1 / 0", "Error"),
}


def ran(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    whole = (
        "import os, resource, socket, subprocess, sys, tempfile\n"
        "from antiphon.workers.speech import confine\n"
        "kept = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)\n"
        "confine.leave_the_network()\n"
        f"{code}"
    )
    return subprocess.run(
        [sys.executable, "-c", whole, *arguments], capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.requirement("R23")
@pytest.mark.requirement("R7")
@pytest.mark.skipif(sys.platform != "linux", reason="address space is bounded on Linux alone")
@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_confined_process_cannot(name: str, tmp_path: Path) -> None:
    attempt, reason = ATTEMPTS[name]
    ended = ran(f"confine.confine(60, os.getppid())\n{attempt}", str(tmp_path / "file"))
    assert ended.returncode == 1 and reason in ended.stderr.splitlines()[-1]


def test_a_confined_process_still_computes_and_answers(tmp_path: Path) -> None:
    code = "confine.confine(60, os.getppid())\nprint(sum(bytearray(8 * 1024 * 1024)))"
    ended = ran(code, str(tmp_path / "file"))
    assert (ended.returncode, ended.stdout) == (0, "0\n")


@pytest.mark.skipif(sys.platform != "linux", reason="a Linux call")
def test_it_ends_at_once_when_its_parent_is_gone_already(tmp_path: Path) -> None:
    ended = ran("confine.confine(60, 2**22)\nprint('alive')", str(tmp_path / "file"))
    assert (ended.returncode, ended.stdout) == (1, "")


@pytest.mark.requirement("R23")
@pytest.mark.skipif(sys.platform != "linux", reason="the network is left on Linux alone")
def test_the_network_is_out_of_reach(tmp_path: Path) -> None:
    code = (
        "names = sorted(name for _, name in socket.if_nameindex())\n"
        "print(names, os.readlink('/proc/self/ns/net') == os.readlink(f'/proc/{os.getppid()}/ns/net'))"
    )
    ended = ran(code, str(tmp_path / "file"))
    if "True" in ended.stdout or "Permission" in ended.stderr:
        pytest.skip("this machine gives no namespaces")
    assert ended.stdout == "['lo'] False\n"
