"""What was measured, as tables for people and as JSON that names the machine."""

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

from benchmarks import chat, speech

VERSIONS = ("antiphon", "xllamacpp", "faster-whisper", "ctranslate2", "aiohttp", "uvicorn")


@dataclass(frozen=True)
class Report:
    """One run of the benchmarks."""

    date: str
    command: str
    machine: dict[str, str | int]
    versions: dict[str, str]
    chat: list[chat.Measured]
    speech: list[speech.Measured]

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


def report(chats: list[chat.Measured], speeches: list[speech.Measured]) -> Report:
    return Report(
        date=datetime.now(UTC).date().isoformat(),
        command=shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        machine=machine(),
        versions={name: version(name) for name in VERSIONS},
        chat=chats,
        speech=speeches,
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
    console.print(_speech_table(found.speech))
    for measured in found.speech:
        for name, words in measured.differing.items():
            pairs = "; ".join(f"'{one.ours}' for '{one.theirs}'" for one in words)
            console.print(f"{name}: {pairs}", style="dim", highlight=False, markup=False)


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


def _speech_table(measured: Sequence[speech.Measured]) -> Table:
    table = Table("", title="Speech: word error rate (WER), seconds of sound a second (RTF)")
    for column in ("clips", "sound\ns", "Antiphon\nWER", "faster-\nwhisper\nWER", "points", "Antiphon\nRTF",
                   "faster-\nwhisper\nRTF", "ratio"):  # fmt: skip
        table.add_column(column, justify="right")
    for one in measured:
        table.add_row(
            one.language,
            str(one.recordings),
            f"{one.audio_seconds:.0f}",
            f"{one.antiphon_error_rate:.2%}",
            f"{one.faster_whisper_error_rate:.2%}",
            f"{100 * (one.antiphon_error_rate - one.faster_whisper_error_rate):+.2f}",
            f"{one.antiphon_real_time_factor:.1f}",
            f"{one.faster_whisper_real_time_factor:.1f}",
            f"{one.antiphon_real_time_factor / one.faster_whisper_real_time_factor:.2f}",
        )
    return table
