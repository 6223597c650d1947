"""Antiphon with the bundled model on vLLM, and vLLM's own server with the same model."""

from __future__ import annotations

import json
import os
import re
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from antiphon.address import Address
from antiphon.catalogue.document import FILE_NAME
from antiphon.catalogue.pull import pull
from antiphon.engines.vllm import told
from antiphon.workers.vllm import command
from antiphon.workers.vllm import environment as surroundings
from benchmarks.chat.client import Target
from benchmarks.chat.sides import SETTINGS
from benchmarks.gateway.house import alone
from benchmarks.processes import Server, antiphon, free_port, peer
from benchmarks.vllm.environment import environment
from benchmarks.vllm.values import Options

MODEL = "smollm2-vllm"
SLOTS, CONTEXT = 32, 2048
START_SECONDS = 900.0


def cores() -> list[int]:
    """The processors that this process may use."""
    return (
        sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [*range(os.cpu_count() or 1)]
    )


def furnish(home: Path, folder: Path, options: Options) -> None:
    """Take the model in the folder into the catalogue as `antiphon models pull` does, and serve it, by vLLM,
    and no other. Raises `ConfigurationError`."""
    home.mkdir(parents=True, exist_ok=True)
    pull(home, str(folder), MODEL)
    path = home / FILE_NAME
    text = path.read_text(encoding="utf-8")
    written = "".join(f"\nvllm.{name} = {json.dumps(value)}" for name, value in options.items())
    for field, value in (("engine", f'"vllm"{written}'), ("slots", SLOTS), ("context", CONTEXT)):
        text, count = re.subn(rf"^{field} = .*$", f"{field} = {value}", text, flags=re.MULTILINE)
        assert count == 1, f"the entry has no {field}"
    path.write_text(f"{text}\n{alone(home, MODEL)}", encoding="utf-8")


@contextmanager
def through(home: Path, program: Path, key: str | None) -> Iterator[Server]:
    """Antiphon with that data folder. Raises `RuntimeError` if it does not start."""
    settings = {
        **SETTINGS,
        **environment(cores()),
        "ANTIPHON_VLLM_COMMAND": str(program),
        "ANTIPHON_ENGINE_START_SECONDS": f"{START_SECONDS:.0f}",
        # Its process that computes answers no probe before a step is done.
        "ANTIPHON_ENGINE_SILENCE_SECONDS": "600",
    }
    with antiphon(home, settings, key, seconds=START_SECONDS) as server:
        yield server


@contextmanager
def bare(home: Path, program: Path, folder: Path, options: Options) -> Iterator[Target]:
    """vLLM's own server, told the same, on a port. Raises `RuntimeError` if it does not start."""
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    words = serving(program, folder, options, port)
    health = f"http://127.0.0.1:{port}/health"
    with peer(words, home / "vllm.log", _surroundings(home), health, START_SECONDS) as pid:
        yield Target(f"http://127.0.0.1:{port}/v1", MODEL, processes=(pid,))


def serving(program: Path, folder: Path, options: Options, port: int) -> Sequence[str]:
    """Antiphon's own words for it, but for where it listens."""
    given = Namespace(
        program=str(program), listen=Address(path="none"), model=folder, name=MODEL, context=CONTEXT,
        slots=SLOTS, cache_tokens=0, set=[*told(options)],
    )  # fmt: skip
    words = command(given)
    at = words.index("--uds")
    return [*words[:at], "--host", "127.0.0.1", "--port", str(port), *words[at + 2 :]]


def _surroundings(home: Path) -> Mapping[str, str]:
    return surroundings(home, given=environment(cores()))
