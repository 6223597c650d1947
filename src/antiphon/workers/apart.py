"""Starts another program cut off from the network, from the data folder and from the processes beside it.

`python -I -S apart.py [--network] [--home FOLDER --keep NAME ...] [--memory BYTES] -- PROGRAM ARGUMENT ...`

It needs nothing but the standard library, and is replaced by the program, which keeps its process id. What
the system does not permit is left out, with a line on stderr: a program is started in any case.

On Linux the program has namespaces of its own: no network but Unix sockets that have a path, and of the data
folder what it was given. Its user namespace, or for root the rights that it lacks, keeps it from reading
the memory and the descriptors of other processes of the same user.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import resource
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

FILES = 4096
"""Files and connections that a program may have open."""
OOM_SCORE = 500
"""Of a thousand: where memory runs out, the system ends a program of these before what started it."""
_LINUX = sys.platform.startswith("linux")
_NEWNS, _NEWUSER, _NEWNET = 0x00020000, 0x10000000, 0x40000000
_RDONLY, _NOSUID, _NODEV, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 32, 0x1000, 0x4000, 0x40000
_DETACH = 2
_SET_NO_NEW_PRIVS, _CAPBSET_DROP = 38, 24
_CAPABILITIES = 64
_OF_ROOT = frozenset({0, 1, 2, 3, 14})
"""What root keeps: files of whatever owner, as the server that started it has them, and memory that stays."""


def limit(memory: int) -> None:
    """Bound what the program may take: `memory` bytes of data, 0 for no bound, files, and no core dumps."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, FILES)
    if memory:
        _lower(resource.RLIMIT_DATA, memory)
    with suppress(OSError), open("/proc/self/oom_score_adj", "r+") as file:
        file.write(str(max(OOM_SCORE, int(file.read()))))


def part(*, network: bool, home: str, keep: Sequence[str]) -> list[str]:
    """Leave the namespaces of who started this process; what could not be done, as lines for people.

    `network`: it may stay on the network. Of the folder `home`, if it is named, only the parts `keep` stay
    to be seen.
    """
    if not _LINUX:
        return ["not cut off from the network or the data folder: that takes Linux"]
    kinds = (0 if network else _NEWNET) | (_NEWNS if home else 0)
    if not kinds:
        return []
    what = "the network or the data folder"
    try:
        _unshare(kinds)
        what = "the data folder"
        if home:
            _hide(home, keep)
    except OSError as problem:
        return [f"not cut off from {what}: {problem.strerror}"]
    finally:
        _give_up_rights()
    return []


def _unshare(kinds: int) -> None:
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        # In a user namespace of its own, root could not read what belongs to others, as the server may.
        with suppress(OSError):
            return _call("unshare", ctypes.c_int(kinds))
    _call("unshare", ctypes.c_int(kinds | _NEWUSER))
    # It stays who it is. Where that is not permitted it is nobody by name, with the same rights to files.
    with suppress(OSError):
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/gid_map", f"{group} {group} 1")
        _write("/proc/self/uid_map", f"{user} {user} 1")


def _hide(home: str, keep: Sequence[str]) -> None:
    """Lay an empty folder over the data folder, and what is kept of it into that."""
    home = os.path.realpath(home)
    links = {name: os.readlink(os.path.join(home, name)) for name in keep if _is(os.path.islink, home, name)}
    names = [name for name in _outermost(keep) if name not in links and _is(os.path.exists, home, name)]
    kept = {name: os.open(os.path.join(home, name), os.O_PATH | os.O_CLOEXEC) for name in names}
    try:
        _mount("none", "/", "", _REC | _PRIVATE)
        _mount("none", home, "tmpfs", _NOSUID | _NODEV, "mode=0700,size=1m")
        try:
            for name, target in links.items():
                os.symlink(target, os.path.join(home, name))
            for name, there in kept.items():
                _put(os.path.join(home, name), f"/proc/self/fd/{there}")
            _mount("none", home, "tmpfs", _NOSUID | _NODEV | _RDONLY | _REMOUNT)
        except OSError:
            _call("umount2", home.encode(), ctypes.c_int(_DETACH))
            raise
    finally:
        for there in kept.values():
            os.close(there)
    # The folder that it is in is the one that was hidden, from which a way would lead up.
    here = os.getcwd()
    os.chdir("/")
    with suppress(FileNotFoundError):  # it was hidden itself
        os.chdir(here)


def _outermost(names: Sequence[str]) -> list[str]:
    """Those that lie in no other of them."""
    found: list[str] = []
    for name in sorted(set(names)):
        if not any(name.startswith(other + os.sep) for other in found):
            found.append(name)
    return found


def _is(what: Callable[[str], bool], home: str, name: str) -> bool:
    return what(os.path.join(home, name))


def _put(path: str, there: str) -> None:
    """Show at `path` the folder or the file that is `there`."""
    os.makedirs(path if os.path.isdir(there) else os.path.dirname(path), mode=0o700, exist_ok=True)
    if not os.path.isdir(there):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    _mount(there, path, "", _BIND | _REC)


def _give_up_rights() -> None:
    """Whatever the program does, it and what it starts get no rights back."""
    libc = _libc()
    kept = _OF_ROOT if os.geteuid() == 0 else frozenset()
    for number in range(_CAPABILITIES):
        if number not in kept:
            libc.prctl(_CAPBSET_DROP, ctypes.c_ulong(number), *[ctypes.c_ulong(0)] * 3)
    libc.prctl(_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), *[ctypes.c_ulong(0)] * 3)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    texts = [text.encode() for text in (source, target, kind)]
    _call("mount", *texts, ctypes.c_ulong(flags), options.encode())


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc(), name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _lower(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (most, most))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", action="store_true", help="the program may reach others")
    parser.add_argument("--home", default="", help="folder that is hidden")
    parser.add_argument("--keep", action="append", default=[], help="name of a part of it that is not")
    parser.add_argument("--memory", type=int, default=0, help="bytes of data that it may have; 0: any number")
    parser.add_argument("program", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    program = given.program[1:] if given.program[:1] == ["--"] else given.program
    for line in part(network=given.network, home=given.home, keep=given.keep):
        sys.stderr.write(f"{line}\n")
    limit(given.memory)
    os.execvp(program[0], program)


if __name__ == "__main__":
    main()
