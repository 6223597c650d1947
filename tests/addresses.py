"""Addresses of engines in tests."""

from __future__ import annotations

from pathlib import Path

from antiphon.address import Address


def unix(path: Path | str) -> Address:
    """That of a Unix socket."""
    return Address(path=str(path))
