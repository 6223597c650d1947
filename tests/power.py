"""A disk under SQLite that forgets, when the power fails, what was not synced.

The library that the product uses is given another default VFS: the system's own, whose files in one folder
tell what is written to them and what is synced. At any moment an image can be made of what a disk may hold
that lost its power then: of each file all that was synced, and of what was written since, sector by sector,
whatever chance left. Names of files count as written as soon as they are; shared memory is gone.
"""

from __future__ import annotations

import ctypes
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from antiphon.storage import sqlite

SECTOR = 512

_Open = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
)
_Write = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64)
_Truncate = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class _Vfs(ctypes.Structure):
    """`sqlite3_vfs` of version 3."""

    _fields_ = [
        ("version", ctypes.c_int),
        ("size_of_file", ctypes.c_int),
        ("longest_name", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("open", ctypes.c_void_p),
        ("others", ctypes.c_void_p * 15),
    ]


class _Methods(ctypes.Structure):
    """`sqlite3_io_methods` of version 3."""

    _fields_ = [
        ("version", ctypes.c_int),
        ("close", ctypes.c_void_p),
        ("read", ctypes.c_void_p),
        ("write", ctypes.c_void_p),
        ("truncate", ctypes.c_void_p),
        ("sync", ctypes.c_void_p),
        ("others", ctypes.c_void_p * 13),
    ]


Change = tuple[int, bytes | None]
"""Bytes at a place, or, without any, the length that a file is cut to."""


class Disk:
    """Everything that SQLite keeps in files of `folder`. `before` is called before each change and sync."""

    def __init__(self, folder: Path) -> None:
        self.before: Callable[[], None] = lambda: None
        self._folder = folder
        self._synced: dict[Path, bytes] = {}
        self._since: dict[Path, list[Change]] = {}
        self._lock = threading.RLock()

    def image(self, to: Path, chance: random.Random) -> Path:
        """What may be left if the power fails now, in a new folder: of all that is not synced a share."""
        to.mkdir()
        share = chance.choice([0.0, 0.5, chance.random()])
        with self._lock:
            for path, content in self._synced.items():
                if path.exists():
                    held = bytearray(content)
                    for change in self._since[path]:
                        _apply(held, *change, lambda: chance.random() < share)
                    (to / path.name).write_bytes(held)
        return to

    def knows(self, path: Path) -> bool:
        """Whether this is one of its files. Call it before the file is opened."""
        if path.parent != self._folder:
            return False
        with self._lock:
            if path not in self._synced or not path.exists():
                self._synced[path] = path.read_bytes() if path.exists() else b""
                self._since[path] = []
        return True

    def change(self, path: Path, place: int, content: bytes | None) -> None:
        with self._lock:
            self.before()
            self._since[path].append((place, content))

    def sync(self, path: Path) -> None:
        with self._lock:
            self.before()
            held = bytearray(self._synced[path])
            for change in self._since[path]:
                _apply(held, *change, lambda: True)
            self._synced[path], self._since[path] = bytes(held), []


def _apply(held: bytearray, place: int, content: bytes | None, kept: Callable[[], bool]) -> None:
    if content is None:
        if kept():
            del held[place:]
        return
    held.extend(bytes(max(0, place + len(content) - len(held))) if kept() else b"")
    at = 0
    while at < len(content):
        part = content[at : at + SECTOR - (place + at) % SECTOR]
        if kept():
            held.extend(bytes(max(0, place + at - len(held))))
            held[place + at : place + at + len(part)] = part
        at += len(part)


class _Shim:
    """The default VFS of the library, over the one that was the default."""

    def __init__(self, library: Any, disk: Disk) -> None:
        self._library, self._disk = library, disk
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        for call in (library.sqlite3_vfs_register, library.sqlite3_vfs_unregister):
            call.argtypes = [
                ctypes.c_void_p,
                *([ctypes.c_int] if call is library.sqlite3_vfs_register else []),
            ]
        self._system = library.sqlite3_vfs_find(None)
        self._vfs = _Vfs.from_buffer_copy(self._system.contents)
        self._open = _Open(self._opened)
        self._vfs.name, self._vfs.next = b"losing", None
        self._vfs.open = ctypes.cast(self._open, ctypes.c_void_p)
        self._methods: dict[int, _Methods] = {}
        self._paths: dict[int, Path] = {}
        self._calls: list[Any] = []
        """Held, since SQLite holds none of them."""

    def register(self) -> None:
        assert self._library.sqlite3_vfs_register(ctypes.addressof(self._vfs), 1) == 0

    def unregister(self) -> None:
        assert self._library.sqlite3_vfs_unregister(ctypes.addressof(self._vfs)) == 0
        assert self._library.sqlite3_vfs_register(ctypes.addressof(self._system.contents), 1) == 0

    def _opened(self, vfs: int, name: int, file: int, flags: int, found: int) -> int:
        path = Path(ctypes.string_at(name).decode()) if name else None
        known = path is not None and self._disk.knows(path)
        code = int(_Open(self._system.contents.open)(vfs, name, file, flags, found))
        if code == 0 and known and path is not None:
            self._paths[file] = path
            place = ctypes.cast(file, ctypes.POINTER(ctypes.c_void_p))
            place[0] = ctypes.addressof(self._telling(place[0]))
        return code

    def _telling(self, address: int) -> _Methods:
        """The methods at this address, of which three tell the disk what they do."""
        if address in self._methods:
            return self._methods[address]
        plain = _Methods.from_address(address)
        write, truncate = _Write(plain.write), _Truncate(plain.truncate)

        def written(file: int, content: int, length: int, place: int) -> int:
            self._disk.change(self._paths[file], place, ctypes.string_at(content, length))
            return int(write(file, content, length, place))

        def truncated(file: int, length: int) -> int:
            self._disk.change(self._paths[file], length, None)
            return int(truncate(file, length))

        def synced(file: int, _: int) -> int:
            self._disk.sync(self._paths[file])  # and no other disk need hold anything
            return 0

        made = _Methods.from_buffer_copy(plain)
        calls = {"write": _Write(written), "truncate": _Truncate(truncated), "sync": _Sync(synced)}
        for name, call in calls.items():
            setattr(made, name, ctypes.cast(call, ctypes.c_void_p))
        self._calls += [*calls.values(), write, truncate]
        self._methods[address] = made
        return made


@contextmanager
def losing(folder: Path) -> Iterator[Disk]:
    """The disk under every file of SQLite's in `folder` that is opened within. Close all of them before."""
    module = sqlite.safe(sqlite.installed())
    inner = "_sqlite3" if module.__name__ == "sqlite3" else f"{module.__name__}._sqlite3"
    library = ctypes.CDLL(str(import_module(inner).__file__))
    if not hasattr(library, "sqlite3_vfs_register"):
        pytest.skip("this SQLite gives no VFS to whoever asks")
    disk = Disk(folder)
    shim = _Shim(library, disk)
    shim.register()
    try:
        yield disk
    finally:
        shim.unregister()
