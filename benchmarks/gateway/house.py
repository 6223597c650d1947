"""Antiphon as it is measured: one gateway process with its journal and SQLite, and stubs for engines."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import numpy
from gguf import GGUFWriter

from antiphon.catalogue.catalogue import FILE_NAME, load
from benchmarks.gateway import served
from benchmarks.gateway.measure import Target
from benchmarks.gateway.stub import MODELS
from benchmarks.processes import antiphon

SETTINGS = {
    # Limits that are counted, and reached by nobody.
    "ANTIPHON_REQUESTS_PER_MINUTE": "1000000000",
    "ANTIPHON_TOKENS_PER_MINUTE": "1000000000000",
    "ANTIPHON_REQUESTS_PER_DAY": "1000000000000",
    "ANTIPHON_TOKENS_PER_DAY": "1000000000000",
    "ANTIPHON_CONCURRENT_REQUESTS": "100000",
    "ANTIPHON_QUEUE_TOTAL": "4096",
    "ANTIPHON_QUEUE_PER_ORGANIZATION": "4096",
}
SLOTS = 256
"""The most that one model may have; there are as many models as a thousand streams need."""
CONTEXT = 32_768
TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}{% endfor %}<assistant>"
)
FILE = "stub.gguf"


@contextmanager
def running(folder: Path, gateway_core: int, load_core: int) -> Iterator[Target]:
    """Antiphon on one core and its engines on the other, with a data folder of its own in `folder`.

    Raises `RuntimeError` if it does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    program = ["taskset", "-c", str(gateway_core), sys.executable, "-m", served.__name__]
    with TemporaryDirectory(prefix="home-", dir=folder.absolute()) as home:
        furnish(Path(home))
        settings = {**SETTINGS, served.CORE: str(load_core)}
        with antiphon(Path(home), settings, program=program) as server:
            parts = urlsplit(server.url)
            address = (str(parts.hostname), int(parts.port or 0))
            yield Target(address=address, key=server.key, processes=(server.pid,))


def furnish(home: Path) -> None:
    """Put models into the data folder that have a template and a price, and serve no others."""
    content = _model(home / FILE)
    for id in MODELS:
        (home / "models" / id).mkdir(parents=True)
        (home / "models" / id / FILE).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    entries = "".join(_entry(id, len(content), digest, home) for id in MODELS)
    (home / FILE_NAME).write_text(f"{entries}\n{alone(home, MODELS[0])}", encoding="utf-8")


def alone(home: Path, snapshot: str) -> str:
    """What models.toml says so that every alias that ships leads to that snapshot: nothing else is installed
    or started, and none hears."""
    shipped = load(home)
    aliases = "".join(f'"{name}" = {{ snapshot = "{snapshot}" }}\n' for name in shipped.aliases)
    deaf = "".join(f'[snapshots."{id}"]\nhears = ""\n' for id, e in shipped.entries.items() if e.hears)
    return f"{deaf}\n[aliases]\n{aliases}"


def _entry(id: str, size: int, digest: str, home: Path) -> str:
    return f"""
[snapshots.{id}]
task = "chat"
engine = "llama"
owned_by = "antiphon"
licence = "Apache-2.0"
released = 2026-01-01
context = {CONTEXT}
slots = {SLOTS}
serve = true
prices = [{{ since = 2023-03-01, input = "0.002", output = "0.002" }}]
source = {{ kind = "path", path = {json.dumps(str(home))} }}
files = [{{ name = "{FILE}", size = {size}, sha256 = "{digest}" }}]
"""


def _model(path: Path) -> bytes:
    """A GGUF file that is nothing but a chat template and a vocabulary of two tokens."""
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_chat_template(TEMPLATE)
    writer.add_token_list(["<assistant>", "a"])
    writer.add_token_types([3, 1])  # a control token, and text
    writer.add_tensor("token_embd.weight", numpy.zeros(1, dtype=numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()
