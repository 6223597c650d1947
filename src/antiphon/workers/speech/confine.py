"""What a process that reads a hostile file gives up, as far as the system offers to take it."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

MEMORY = 128 * 1024 * 1024
"""Bytes of address space that one file may take beyond what is there already.

An hour of sound takes some 10 MiB, whatever its container; the largest upload that is nothing but a cover
picture takes three times its size.
"""
CPU_SECONDS = 60
SOUND_PER_CPU_SECOND = 30
"""What decoding may cost: ten times what the slowest codec takes on one slow core."""
_GRACE = 5
"""Processor seconds between the signal that tells the reason, SIGXCPU, and the one that does not."""
_NICE = 5
_LINUX = sys.platform.startswith("linux")
_SET_PDEATHSIG, _SET_NO_NEW_PRIVS = 1, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def confine(limit: float, parent: int) -> None:
    """Take from this process what decoding `limit` seconds of sound does not need; it ends with `parent`."""
    if _LINUX:
        _prctl(_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # It ended before the line above.
        _prctl(_SET_NO_NEW_PRIVS, 1)
        pages = int(Path("/proc/self/statm").read_bytes().split()[0])
        _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + MEMORY)
    # Decoding runs ahead of what reads it anyway: it gives way to transcribing and to answering.
    os.nice(_NICE)
    cpu = CPU_SECONDS + int(limit / SOUND_PER_CPU_SECOND)
    _lower(resource.RLIMIT_CPU, cpu, cpu + _GRACE)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    # What is open stays open; no file and no socket can be opened any more.
    _lower(resource.RLIMIT_NOFILE, 0)


def _lower(kind: int, soft: int, hard: int | None = None) -> None:
    """Set a limit, as far as the one that is there allows; the hard one is `soft` too if it is not given."""
    hard = soft if hard is None else hard
    _, most = resource.getrlimit(kind)
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (soft, hard))


def leave_the_network() -> None:
    """Where Linux lets us: neither this process nor its children can reach anything from now on."""
    if _LINUX and os.geteuid() != 0:
        # As somebody without rights, in a namespace of nobody's.
        _libc().unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    elif _LINUX:
        _libc().unshare(_CLONE_NEWNET)


def _prctl(option: int, value: int) -> None:
    _libc().prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
