"""Three sizes, and what parts carry at them: plain functions of figures that were measured.

What nobody measured is a constant here, said to be assumed.
"""

from __future__ import annotations

import math

import msgspec

from antiphon.access.authenticator import REMEMBER_SECONDS
from antiphon.api import sse
from antiphon.ledger.budgets import FORGET_SECONDS
from antiphon.storage import postgresql
from antiphon.wire import chat as wire
from benchmarks.footprint.values import PEERS
from benchmarks.scale.figures import Figures

BUSY = 0.7
"""Assumed: how much of a part may be in use at the peak."""
CONNECTIONS = 2 * postgresql.WRITERS + 1
"""To PostgreSQL, of one process: two times as many as write at once, and the one of its beats."""
PARENT_CONNECTIONS = postgresql.WRITERS
"""Of the parent of several, which answers no requests."""
DEFAULT_CONNECTIONS = 100
"""That PostgreSQL takes if nobody says otherwise."""
FEW = 2
"""Processes to which the requests of an organization would come if they were sent by organization."""
SERVER_CORES = 16
"""Assumed: of the machine that PostgreSQL has to itself."""
PROCESSES = 64
"""Gateway processes of one machine, at most."""
CLIP_SECONDS = 30
"""Assumed: a recording."""
GPU_TOKENS = 2500
"""Assumed: tokens a second that a GPU of 80 GB writes with a model of 8 billion parameters."""
GPU_REAL_TIME = 400
"""Assumed: seconds of sound that such a GPU transcribes in a second."""
GPU_PACE = 40
"""Assumed: tokens a second of one answer there."""
DAY, MONTH, GIB = 86_400, 30, 2**30


class Size(msgspec.Struct, frozen=True):
    """Requests a second on average and at the peak, and who sends them."""

    name: str
    average: float
    peak: float
    organizations: int
    keys: int

    @property
    def a_day(self) -> float:
        return self.average * DAY


def sizes(found: Figures) -> tuple[Size, ...]:
    """The three, and one of the parts that the last is to be divided into."""
    little = found.chat_rate * BUSY
    internet = Size("the internet", 10_000, 100_000, 300_000, 1_000_000)
    parts = cells(found, internet)
    cell = Size(f"1 of {parts} cells", internet.average / parts, internet.peak / parts,
                internet.organizations // parts, internet.keys // parts)  # fmt: skip
    company = Size("a company", 100, 1000, 50, 500)
    return Size("one machine", little / 3, little, 2, 10), company, internet, cell


def cells(found: Figures, size: Size) -> int:
    """Installations between which its organizations are divided, so that each carries its peak."""
    return math.ceil(size.peak / min(gateways(found), database(found), row(found)))


def gateways(found: Figures) -> float:
    """Peak of streamed chats that the gateways of one machine carry."""
    return PROCESSES * BUSY / found.streamed


def database(found: Figures) -> float:
    """The peak that PostgreSQL carries where nothing is remembered and each organization is new."""
    asked, posting = found.print.asked, found.books.server_microseconds
    return BUSY * SERVER_CORES / (asked.new_microseconds / 1e6 + found.lookup + posting / 1e6)


def row(found: Figures) -> float:
    """The peak that the row that every batch changes lets through."""
    return BUSY * found.held


def processes(found: Figures, size: Size) -> int:
    """Gateways for its streamed chats at the peak: each keeps one core busy."""
    return math.ceil(size.peak * found.streamed / BUSY)


def connections(found: Figures, size: Size) -> int:
    """To PostgreSQL, at most: of all processes, and of a parent on each machine that has several."""
    there = processes(found, size)
    parents = math.ceil(there / PROCESSES) if there > 1 else 0
    return there * CONNECTIONS + parents * PARENT_CONNECTIONS


def at_once(found: Figures, size: Size) -> tuple[float, float]:
    """Chats that are open at the peak: with the engines that were measured, and with GPUs."""
    return size.peak * found.chat_lasts, size.peak * found.answer / GPU_PACE


def looking_up(found: Figures, size: Size, rate: float) -> float:
    """Cores of PostgreSQL for keys and limits that a process does not remember; each gets requests of all."""
    of_a_key = rate / size.keys / processes(found, size)
    return rate / (1 + REMEMBER_SECONDS * of_a_key) * found.lookup


def leased(found: Figures, size: Size, spread: int, rate: float) -> float:
    """Cores of PostgreSQL for money of organizations of which a process holds none any more.

    `spread`: the processes to which the requests of an organization come.
    """
    unseen = math.exp(-FORGET_SECONDS * rate / size.organizations / spread)
    return rate * unseen * found.print.asked.new_microseconds / 1e6


def rollup_rows(size: Size) -> float:
    """A day: of minutes and hours in which a key was used, and of days. Keys are all alike."""
    rate = size.average / size.keys
    return sum(size.keys * DAY / width * (1 - math.exp(-rate * width)) for width in (60, 3600, DAY))


def threads(found: Figures, size: Size) -> tuple[float, float]:
    """Of Valkey, busy at the peak: with the default limit, and with all that there are."""
    counts = found.print.counts
    asked = (counts.default_microseconds, 4 * counts.every_microseconds)
    return asked[0] * size.peak / 1e6, asked[1] * size.peak / 1e6


def beats(found: Figures, number: int) -> float:
    """Cores that it takes if each of so many processes asks after all the others once a second."""
    return number * number / PEERS * found.print.asked.beat_microseconds / 1e6


def stored(found: Figures, size: Size) -> float:
    """GiB a day in PostgreSQL's tables and indexes."""
    rollup = found.books.sizes["usage_rollup"].row_bytes
    return (size.a_day * found.row_bytes + rollup_rows(size) * rollup) / GIB


def chunk_bytes() -> int:
    """Of one token of a stream, as it is sent."""
    choice = wire.ChunkChoice(index=0, delta=wire.ChunkDelta(content=" word"))
    chunk = wire.ChatCompletionChunk(
        id="chatcmpl-" + 32 * "0", created=1_793_534_400, model="smollm2-135m-instruct-2024-11-01",
        choices=[choice], system_fingerprint="fp_" + 10 * "0",
    )  # fmt: skip
    return len(sse.event(chunk))
