"""A program that was started apart tries what captured code would, as root and as somebody without rights."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from antiphon.runtime.isolation import LAUNCHER

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
PYTHON = sys.executable
ANYBODYS = "/usr/bin/python3"
"""Which anybody may run, wherever ours is."""
NOBODY = 65534
ATTEMPTS = """
import ctypes, json, os, resource, socket, sys
home, gateway, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
def tried(attempt):
    try:
        return attempt() or "done"
    except OSError as problem:
        return problem.strerror
libc = ctypes.CDLL(None, use_errno=True)
print(json.dumps({
    "user": os.geteuid(),
    "home": sorted(os.listdir(home)),
    "pepper": tried(lambda: open(f"{home}/pepper").read()),
    "up": tried(lambda: open("../../pepper").read()),
    "model": tried(lambda: open(f"{home}/models/m/file").read()),
    "linked": tried(lambda: open(f"{home}/elsewhere/file").read()),
    "make": tried(lambda: open(f"{home}/new", "w").close()),
    "write": tried(lambda: open("made", "w").close()),
    "unmount": libc.umount2(home.encode(), 2),
    "connect": tried(lambda: socket.create_connection(("127.0.0.1", port), 1).close()),
    "resolve": tried(lambda: socket.getaddrinfo("example.com", 80) and None),
    "environment": tried(lambda: open(f"/proc/{gateway}/environ").read()),
    "memory": tried(lambda: open(f"/proc/{gateway}/mem", "rb").close()),
    "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
    "files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
    "score": int(open("/proc/self/oom_score_adj").read()),
    "descriptors": sorted(int(n) for n in os.listdir("/proc/self/fd"))[:-1],
}))
"""


@pytest.fixture(params=["owner", "nobody"])
def user(request: pytest.FixtureRequest) -> int:
    if request.param == "owner":
        return os.geteuid()
    if os.geteuid() != 0 or not os.path.exists(ANYBODYS):
        pytest.skip("nobody can be somebody else here")
    return NOBODY


@pytest.fixture
def home(user: int) -> Iterator[Path]:
    """A data folder, where whoever tries can come."""
    base = Path(tempfile.mkdtemp(prefix="apart-", dir="/tmp"))
    folder = base / "home"
    for name in ("run/own", "run/other", "models/m", "journal"):
        (folder / name).mkdir(parents=True)
    for name in ("pepper", "models/m/file", "journal/log"):
        (folder / name).write_text(name)
    (base / "away").mkdir()
    (base / "away/file").write_text("away")
    (folder / "elsewhere").symlink_to(base / "away")
    shutil.copy(LAUNCHER, base / "apart.py")
    for path in (base, *base.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)
    yield folder
    shutil.rmtree(base)


def ran(home: Path, user: int, code: str, *arguments: str, options: tuple[str, ...] = ()) -> str:
    """What `code` prints that is started apart by a process of `user`."""
    python = PYTHON if user == os.geteuid() else ANYBODYS
    become: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if python == ANYBODYS else {}
    ended = subprocess.run(
        [python, "-I", "-S", str(home.parent / "apart.py"), *options, "--", python, "-c", code, *arguments],
        cwd=home / "run/own",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(home / "run/own")},
        **become,
    )
    if "not cut off" in ended.stderr:
        pytest.skip(f"this machine does not permit it: {ended.stderr}")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture
def gateway(user: int) -> Iterator[subprocess.Popen[bytes]]:
    """Another process of the same user, which holds secrets."""
    become: dict[str, Any] = {"user": user, "group": user} if user != os.geteuid() else {}
    with subprocess.Popen(["sleep", "60"], env={"KEY": "secret"}, cwd="/", **become) as process:
        yield process
        process.kill()


@pytest.mark.requirement("R17")
def test_it_sees_neither_network_nor_data_nor_other_processes(
    home: Path, user: int, gateway: subprocess.Popen[bytes]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        keep = ("--keep", "models", "--keep", "run/own", "--keep", "elsewhere")
        options = ("--home", str(home), *keep)
        seen = json.loads(ran(home, user, ATTEMPTS, str(home), str(gateway.pid), port, options=options))
    assert seen["user"] == user and seen["home"] == ["elsewhere", "models", "run"]
    assert seen["pepper"] == seen["up"] == "No such file or directory"
    assert (seen["model"], seen["linked"], seen["write"]) == ("models/m/file", "away", "done")
    assert seen["make"] == "Read-only file system" and seen["unmount"] == -1
    assert seen["connect"] == "Network is unreachable" and seen["resolve"] != "done"
    assert seen["environment"] == seen["memory"] == "Permission denied"
    assert seen["core"] == 0 and seen["files"] <= 4096 and seen["score"] >= 500
    assert seen["descriptors"] == [0, 1, 2]
    assert (home / "run/own/made").exists() and (home / "pepper").exists()


def test_who_has_to_reach_others_may(home: Path, user: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        code = (
            "import socket as s, sys; s.create_connection(('127.0.0.1', int(sys.argv[1])), 5); print('there')"
        )
        port = str(listener.getsockname()[1])
        assert ran(home, user, code, port, options=("--network", "--home", str(home))) == "there\n"


def test_what_needs_more_memory_than_it_may_have_fails(home: Path, user: int) -> None:
    code = "try: bytearray(300 << 20)\nexcept MemoryError: print('refused')"
    assert ran(home, user, code, options=("--memory", str(200 << 20))) == "refused\n"


def test_what_is_not_permitted_is_said_and_harms_nobody() -> None:
    code = (
        "import runpy, sys\n"
        f"launcher = runpy.run_path({str(LAUNCHER)!r})\n"
        "def forbidden(*arguments): raise PermissionError(1, 'Operation not permitted')\n"
        "launcher['main'].__globals__['_call'] = forbidden\n"
        "sys.argv[1:] = ['--home', '/tmp', '--', 'echo', 'started']\n"
        "launcher['main']()"
    )
    ended = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout) == (0, "started\n")
    assert ended.stderr == "not cut off from the network or the data folder: Operation not permitted\n"
