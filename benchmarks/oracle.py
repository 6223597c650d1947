"""R25: can an organization find out by the clock what another one has asked?

    python -m benchmarks.oracle [--guesses 800] [--out FILE]

In each round one organization asks something, and another one asks the same or something else, equally long.
How well the second one's times tell the two apart is the area under the ROC curve (AUC): a half is no better
than a coin. Beside those it asks what it asked itself before, which it may notice: that these times are told
apart shows that the clock would see it. A run goes on where the one before stopped.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks.machine import machine
from benchmarks.processes import Server, antiphon

BAR = 0.55
WORDS = 60
"""Of a prompt: some three hundred tokens, whose reading takes most of the time."""
PART = 50
"""Rounds between two savings."""
RESULTS = Path(__file__).parent / "results" / "oracle.json"
SETTINGS = {"ANTIPHON_REQUESTS_PER_MINUTE": "0", "ANTIPHON_LOG_LEVEL": "warning"}
SYLLABLES = ("ba", "ko", "ri", "tu", "me", "sha", "lo", "ni", "pe", "zu")
Times = dict[str, list[float]]
"""Seconds of answers to what another had asked, what nobody had, and what oneself had."""


def auc(found: Sequence[float], other: Sequence[float]) -> float:
    """How likely one of `found` is shorter than one of `other`; of equal ones, half."""
    left, right = np.asarray(found)[:, None], np.asarray(other)[None, :]
    return float(np.mean((left < right) + (left == right) / 2))


def advantage(times: Times) -> float:
    """How well a guess tells what another asked: at least a half, whichever way it guesses."""
    value = auc(times["other's"], times["nobody's"])
    return max(value, 1 - value)


def prompt(chance: random.Random) -> str:
    """Words that nobody has asked before."""
    return " ".join("".join(chance.choices(SYLLABLES, k=3)) for _ in range(WORDS))


def ask(server: Server, key: str, text: str) -> float:
    """Seconds until one token of an answer."""
    body = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": text}], "max_tokens": 1}
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = Request(f"{server.url}/chat/completions", json.dumps(body).encode(), headers)
    began = time.monotonic()
    with urlopen(request, timeout=60) as answer:
        answer.read()
    return time.monotonic() - began


def rounds(server: Server, keys: tuple[str, str], seed: int, times: Times) -> None:
    """One round of each kind, in an order that chance gives."""
    chance = random.Random(seed)
    victim, curious = keys
    kinds = ["other's", "nobody's", "own"]
    chance.shuffle(kinds)
    for kind in kinds:
        secret, asked = prompt(chance), prompt(chance)
        ask(server, curious if kind == "own" else victim, secret)
        times.setdefault(kind, []).append(ask(server, curious, asked if kind == "nobody's" else secret))


def key(server: Server, name: str) -> str:
    """A key of a new organization."""
    command(server, "orgs", "create", name)
    return command(server, "keys", "create", "--org", name)


def command(server: Server, *words: str) -> str:
    """What `antiphon …` on the server's machine prints."""
    line = [str(Path(sys.executable).with_name("antiphon")), *words, "--home", str(server.home)]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.oracle", description=__doc__)
    parser.add_argument("--guesses", type=int, default=800)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    document: dict[str, Any] = {"machine": machine(), "times": {}}
    if given.out.exists():
        document = json.loads(given.out.read_text())
    times: Times = document["times"]
    with tempfile.TemporaryDirectory() as folder, antiphon(Path(folder) / "home", SETTINGS) as server:
        keys = key(server, "victim"), key(server, "curious")
        begun = len(times.get("own", []))
        for number in track(range(begun, given.guesses // 2), "Guesses", disable=None):
            rounds(server, keys, random.randrange(2**63), times)
            if number % PART == PART - 1:
                _keep(given.out, document)
    _keep(given.out, document)
    Console().print({name: document[name] for name in ("advantage", "bar", "seen by oneself", "guesses")})
    if advantage(times) > BAR:
        sys.exit(1)


def _keep(out: Path, document: dict[str, Any]) -> None:
    times: Times = document["times"]
    document |= {
        "guesses": len(times["other's"]) + len(times["nobody's"]),
        "advantage": round(advantage(times), 4),
        "bar": BAR,
        "seen by oneself": round(auc(times["own"], times["nobody's"]), 4),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
