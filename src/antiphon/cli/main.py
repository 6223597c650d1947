"""The `antiphon` command."""

from __future__ import annotations


def main() -> None:
    raise SystemExit("filled in below")
