"""`make fuzz`: valid requests, mutated at random, against a real server; no answer may break the contract.

Every case comes from one number, its seed: a failure is replayed with `--seed N --cases 1`. Allowed is any
answer below 500 in the API's envelope, or a 200; the server must be well afterwards and hold no more memory.
Parts of 2,500 cases are written as they end, each after a server of its own: a run that was cut off goes on
where it stopped, and runs of other seeds add up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from rich.console import Console
from rich.progress import track

from benchmarks.faults import served, session, until
from benchmarks.machine import machine
from benchmarks.processes import OPENVINO, Server, antiphon

_STARTED_SECONDS = 120.0
"""Until both chat engines answer, on a busy machine."""
_KEPT_SECONDS = 15.0
"""Until a recording that is kept is encrypted."""
PART = 2500
WARM_UP = 500
CLIENTS = 8
"""That send cases at once."""
SPEECH = "antiphon.workers.speech"
OTHERS = ""
GROWTH = {OTHERS: 64 << 20, OPENVINO: 1 << 30, SPEECH: 512 << 20}
"""Bytes more than after the warm-up, by the module of a process. OpenVINO's grows until every block of its
cache was used once; the speech engine's until batches of every size were computed at once (some 220 MiB)."""
KEYS = {"message", "type", "param", "code"}
CHAT: dict[str, Any] = {
    "model": "gpt-3.5-turbo",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}], "name": "kim"},
    ],
    "temperature": 0.5,
    "top_p": 0.9,
    "n": 1,
    "stream": False,
    "stop": ["a", "b"],
    "max_tokens": 2,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "logit_bias": {"5": 1},
    "seed": 1,
    "logprobs": True,
    "top_logprobs": 2,
    "user": "u",
    "metadata": {"a": "b"},
}
COMPLETION: dict[str, Any] = {
    "model": "gpt-3.5-turbo",
    "prompt": ["Once upon", "a time"],
    "temperature": 0.5,
    "n": 2,
    "best_of": 2,
    "stream": False,
    "stop": ["a", "b"],
    "max_tokens": 2,
    "logit_bias": {"5": 1},
    "logprobs": 2,
    "echo": False,
    "suffix": "",
    "user": "u",
}
NASTY: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, 2**63, -(2**63), "", "\ud83d\ude00", "<|im_end|>", "../..", "' OR 1=1 --",
    [], {}, [[]], {"a": {}}, "x" * 5000, list(range(100)), 0.1, "0", "null",
)  # fmt: skip
BYTES = (
    b"\0",
    b"\xff",
    b"{",
    b"}",
    b'"',
    b"\\u0000",
    b"\\ud800",
    b"--",
    b"\r\n\r\n",
    b"NaN",
    b"1e999",
    b"," * 50,
)


def mutated_value(value: Any, chance: random.Random) -> Any:
    """A copy of `value` in which some part is something else."""
    if chance.random() < 0.15:
        return chance.choice(NASTY)
    if isinstance(value, dict):
        copy = {key: mutated_value(inner, chance) for key, inner in value.items() if chance.random() > 0.03}
        if chance.random() < 0.05:
            copy[chance.choice(("top_k", "__proto__", "tools", "é", "response_format"))] = chance.choice(
                NASTY
            )
        return copy
    if isinstance(value, list):
        return [mutated_value(inner, chance) for inner in value] * chance.choice((1, 1, 1, 2))
    return value


def mutated_bytes(content: bytes, chance: random.Random) -> bytes:
    """The bytes with up to four of them overwritten, cut out, doubled or joined by others."""
    for _ in range(chance.randint(0, 4)):
        at = chance.randrange(len(content) + 1)
        to = min(len(content), at + chance.choice((1, 1, 8, 200)))
        middle = chance.choice((b"", content[at:to] * 2, chance.choice(BYTES), chance.randbytes(4)))
        content = content[:at] + middle + content[to:]
    return content


def request(seed: int, recording: bytes) -> tuple[str, dict[str, str], bytes]:
    """Path, headers and body of the case that `seed` stands for."""
    chance = random.Random(seed)
    if chance.random() < 0.6:
        chat = chance.random() < 0.7
        body = json.dumps(mutated_value(CHAT if chat else COMPLETION, chance)).encode()
        if chance.random() < 0.5:
            body = mutated_bytes(body, chance)
        paths = ("chat/completions", "chat/completions/render", "engines/m/chat/completions")
        path = chance.choice(paths if chat else ("completions", "engines/m/completions"))
        return path, {"content-type": "application/json"}, body
    sound = mutated_bytes(recording[: chance.choice((100, 2000, len(recording)))], chance)
    parts = [
        ("model", b"whisper-1"),
        ("response_format", chance.choice((b"json", b"srt", b"verbose_json", b"xml"))),
        ("temperature", chance.choice((b"0", b"1", b"2", b"nan"))),
        ("file", sound),
    ]
    chance.shuffle(parts)
    form = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n%s\r\n'
        % (name.encode(), value)
        for name, value in parts
    )
    form = mutated_bytes(form + b"--x--\r\n", chance) if chance.random() < 0.5 else form + b"--x--\r\n"
    path = chance.choice(("audio/transcriptions", "audio/translations"))
    return path, {"content-type": "multipart/form-data; boundary=x"}, form


async def check(client: aiohttp.ClientSession, seed: int, recording: bytes) -> str:
    """What became of one case; raises `AssertionError` where the contract is broken."""
    path, headers, body = request(seed, recording)
    try:
        async with client.post(path, headers=headers, data=body) as response:
            text = await response.text(errors="replace")
            kind = response.content_type
    except (TimeoutError, aiohttp.ClientError) as problem:
        raise AssertionError(f"seed {seed}: {problem!r}") from problem
    assert response.status < 500, f"seed {seed}: {response.status} {text[:300]}"
    if response.status == 200:
        ended = "[DONE]" in text or '"error"' in text
        assert kind != "text/event-stream" or ended, f"seed {seed}: a stream without an end"
    else:
        assert set(json.loads(text)["error"]) == KEYS, f"seed {seed}: {text[:300]}"
    return str(response.status)


async def run(server: Server, first: int, cases: int, recording: bytes) -> Counter[str]:
    found: Counter[str] = Counter()
    async with session(server) as client:
        seeds = iter(track(range(first, first + cases), description="Cases", disable=None))

        async def again(some: Iterator[int]) -> None:
            for seed in some:
                found[await check(client, seed, recording)] += 1

        async def sent(some: Iterator[int]) -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(CLIENTS):
                    group.create_task(again(some))

        # The engine for what the first one does not take is started when it is first needed.
        await until(lambda: _answered(client), _STARTED_SECONDS)
        await sent(islice(seeds, min(WARM_UP, cases // 2)))
        before = memory(server)
        await sent(seeds)
        assert await served(client), "the server does not answer any more"
    for module, now in memory(server).items():
        more = now - before[module]
        assert more <= GROWTH[module], f"{module or 'others'}: {more >> 20} MiB more than after the warm-up"
    deadline = time.monotonic() + _KEPT_SECONDS
    while left := [path for path in (server.home / "uploads").rglob("upload-*") if path.is_file()]:
        assert time.monotonic() < deadline, f"{len(left)} files are left behind"
        await asyncio.sleep(0.1)
    return found


async def _answered(client: aiohttp.ClientSession) -> bool:
    async with client.post("chat/completions", json=CHAT) as response:
        return response.status == 200


def memory(server: Server) -> dict[str, int]:
    """Bytes resident in the gateway and its engines, by the modules of `GROWTH`."""
    process = psutil.Process(server.pid)
    found = dict.fromkeys(GROWTH, 0)
    for one in (process, *process.children(recursive=True)):
        command = one.cmdline()
        found[next((module for module in GROWTH if module in command), OTHERS)] += one.memory_info().rss
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first case")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--recording", type=Path, default=Path("tests/data/en_cuttledoc_fleurs-en-004.ogg"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/fuzz.json"))
    given = parser.parse_args()
    recording = given.recording.read_bytes()
    if given.cases < PART:
        Console().print(dict(_part(given.seed, given.cases, recording)))
        return
    document = json.loads(given.out.read_text()) if given.out.exists() else {"parts": {}}
    for first in range(given.seed, given.seed + given.cases, PART):
        if counted(document, first):
            continue
        began = time.monotonic()
        found = _part(first, PART, recording)
        part = {"statuses": dict(sorted(found.items())), "seconds": round(time.monotonic() - began)}
        document["parts"][str(first)] = part
        _write(document, given.out)
    Console().print({name: document[name] for name in document if name != "parts"})


def counted(document: dict[str, Any], first: int) -> bool:
    """Whether any case of the part that begins so was counted already: none is counted twice."""
    begun = ((int(seed), part.get("cases", PART)) for seed, part in document["parts"].items())
    return any(seed < first + PART and first < seed + cases for seed, cases in begun)


def _part(first: int, cases: int, recording: bytes) -> Counter[str]:
    # A mutation may take away the bound of an answer, which then ends with 408 soon; so does, well before the
    # client gives up, a recording that waits too long on a busy machine.
    settings = {
        "ANTIPHON_REQUESTS_PER_MINUTE": "0",
        "ANTIPHON_LOG_LEVEL": "warning",
        "ANTIPHON_CHAT_SECONDS": "2",
        "ANTIPHON_SPEECH_SECONDS": "60",
    }
    with tempfile.TemporaryDirectory() as folder, antiphon(Path(folder) / "home", settings) as server:
        return asyncio.run(run(server, first, cases, recording))


def _write(document: dict[str, Any], out: Path) -> None:
    total: Counter[str] = Counter()
    for part in document["parts"].values():
        total.update(part["statuses"])
    written = datetime.now(UTC).isoformat(timespec="seconds")
    document |= {"machine": machine(), "written": written, "statuses": dict(sorted(total.items()))}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
