from __future__ import annotations

import socket
from pathlib import Path

import pytest

from antiphon.cli.notify import READY, notify, reloading


def test_who_listens_hears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, address in (
        (str(tmp_path / "notify"), None),
        ("@antiphon-test-notify", "\0antiphon-test-notify"),
    ):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.bind(address or name)
            line.settimeout(5)
            monkeypatch.setenv("NOTIFY_SOCKET", name)
            notify(READY)
            notify(reloading())
            assert line.recv(100) == b"READY=1"
            assert line.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")


def test_nobody_has_to_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nowhere"))
    notify(READY)
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify(READY)
