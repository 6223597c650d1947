"""What was measured of chat, as a table for people and as JSON that names the machine."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks import chat

VERSIONS = ("antiphon", "xllamacpp", "aiohttp", "uvicorn")


@dataclass(frozen=True)
class Report:
    """One run of the benchmarks."""

    date: str
    command: str
    machine: dict[str, str | int]
    versions: dict[str, str]
    chat: list[chat.Measured]

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


def report(chats: list[chat.Measured]) -> Report:
    return Report(
        date=datetime.now(UTC).date().isoformat(),
        command=shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        machine=machine(),
        versions={name: version(name) for name in VERSIONS},
        chat=chats,
    )


def machine() -> dict[str, str | int]:
    """Processor, cores, memory in MiB, system and Python of this machine."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_mib": pages // 2**20,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:  # no Linux
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def default_path(folder: Path) -> Path:
    """A file named after the day and the machine."""
    facts = machine()
    slug = re.sub(r"[^a-z0-9]+", "-", f"{facts['processor']} {facts['cores']} cores".lower()).strip("-")
    return folder / f"{datetime.now(UTC).date().isoformat()}-{slug}.json"


def show(console: Console, found: Report) -> None:
    facts = found.machine
    console.print(f"{facts['processor']}, {facts['cores']} cores, {facts['system']}; {found.date}")
    console.print(_chat_table(found.chat))


def _chat_table(measured: Sequence[chat.Measured]) -> Table:
    table = Table("clients", title="Chat: completion tokens a second, time to first token (p50)")
    for column in ("Antiphon", "bare engine", "ratio", "Antiphon\nTTFT s", "bare engine\nTTFT s"):
        table.add_column(column, justify="right")
    for ours, bare in zip(measured[::2], measured[1::2], strict=True):
        table.add_row(
            str(ours.clients),
            f"{ours.tokens_per_second:.1f}",
            f"{bare.tokens_per_second:.1f}",
            f"{ours.tokens_per_second / bare.tokens_per_second:.3f}",
            f"{ours.first_token_seconds:.3f}",
            f"{bare.first_token_seconds:.3f}",
        )
    return table
