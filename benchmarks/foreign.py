"""Can an organization find out by the clock which ids of another one there are?

    python -m benchmarks.foreign [--rounds 1000] [--out FILE]

What belongs to another organization is answered like what does not exist, with the same words; here it is
seen whether it takes as long. In each round one organization asks for every kind of thing, once by the id of
one that another organization has and once by an id that nobody has, in an order that chance gives. What
counts is by how much the medians differ.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import string
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import track

from benchmarks.machine import machine
from benchmarks.oracle import command
from benchmarks.processes import Server, antiphon

BAR = 0.05
"""Part of the median by which the two may differ."""
RESULTS = Path(__file__).parent / "results" / "foreign.json"
SETTINGS = {"ANTIPHON_REQUESTS_PER_MINUTE": "0", "ANTIPHON_LOG_LEVEL": "warning"}
ADMIN = "/v1/organization"
CHAT = "/v1/chat/completions"
Thing = tuple[str, str]
"""Where it is asked for, with `{}` for its id; its id."""
Times = dict[str, tuple[list[float], list[float]]]
"""Seconds of refusals, by where was asked: of ids that another has, and of those that nobody has."""


class Client:
    """One connection with one key."""

    def __init__(self, server: Server, key: str) -> None:
        self._connection = HTTPConnection(urlsplit(server.root).netloc, timeout=60)
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        text = json.dumps(body) if body is not None else None
        self._connection.request(method, path, text, self._headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def made(self, path: str, **body: Any) -> dict[str, Any]:
        """What was made. Raises `AssertionError` where it was refused."""
        status, answer = self.ask("POST", path, body)
        assert status == 200, answer
        return dict(answer)

    def refused(self, path: str) -> float:
        """Seconds until it is said that there is no such thing."""
        began = time.perf_counter()
        status, answer = self.ask("GET", path)
        seconds = time.perf_counter() - began
        assert status == 404, f"{path}: {status} {answer}"
        return seconds


def things(server: Server, admin: Client, chat: Client) -> list[Thing]:
    """One of every kind, which the organization of these clients gets."""
    project = admin.made(f"{ADMIN}/projects", name="secret")["id"]
    kept = {"model": "gpt-3.5-turbo", "max_tokens": 1, "store": True}
    completion = chat.made(CHAT, messages=[{"role": "user", "content": "Say hello."}], **kept)
    command(server, "orgs", "add-member", "kim@example.com", "--org", "victim")
    _, users = admin.ask("GET", f"{ADMIN}/users")
    _, admins = admin.ask("GET", f"{ADMIN}/admin_api_keys")
    return [
        (f"{ADMIN}/projects/{{}}", project),
        (f"{ADMIN}/projects/{{}}/api_keys", project),
        (f"{ADMIN}/projects/{{}}/spend_limit", project),
        (f"{ADMIN}/projects/{{}}/service_accounts", project),
        (f"{ADMIN}/admin_api_keys/{{}}", admins["data"][0]["id"]),
        (f"{ADMIN}/users/{{}}", users["data"][0]["id"]),
        (f"{CHAT}/{{}}", completion["id"]),
        (f"{CHAT}/{{}}/messages", completion["id"]),
    ]


def nobodys(id: str, chance: random.Random) -> str:
    """An id of the same form that nobody has."""
    return id[:-12] + "".join(chance.choices(string.ascii_lowercase + string.digits, k=12))


def rounds(asked: list[Thing], clients: Mapping[str, Client], count: int) -> Times:
    chance = random.Random(1)
    times: Times = {path: ([], []) for path, _ in asked}
    for _ in track(range(count), "Rounds", disable=None):
        for path, id in asked:
            client = clients["chat" if path.startswith(CHAT) else "admin"]
            both = [(id, times[path][0]), (nobodys(id, chance), times[path][1])]
            for one, found in chance.sample(both, 2):
                found.append(client.refused(path.format(one)))
    return times


def differences(times: Times) -> dict[str, float]:
    """By what part of the median of what nobody has the other median differs."""
    medians = {path: [statistics.median(one) for one in both] for path, both in times.items()}
    return {path: round(theirs / nobodys - 1, 4) for path, (theirs, nobodys) in medians.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.foreign", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, antiphon(Path(folder) / "home", SETTINGS) as server:
        clients = {}
        for name in ("victim", "curious"):
            command(server, "orgs", "create", name)
            clients[name] = {
                "admin": Client(server, command(server, "keys", "create", "--admin", "--org", name)),
                "chat": Client(server, command(server, "keys", "create", "--org", name)),
            }
        asked = things(server, **clients["victim"])
        found = differences(rounds(asked, clients["curious"], given.rounds))
    worst = max(map(abs, found.values()))
    document = {
        "machine": machine(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "rounds": given.rounds,
        "differences": found,
        "worst": worst,
        "bar": BAR,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(document, indent=1) + "\n")
    Console().print(found, f"worst {worst:.1%}, bar {BAR:.0%}")
    if worst > BAR:
        sys.exit(1)


if __name__ == "__main__":
    main()
