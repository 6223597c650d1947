"""What was measured, from the newest results of the benchmarks of chat, speech, gateway and footprint."""

from __future__ import annotations

from pathlib import Path

import msgspec

from antiphon.ledger.books import BATCH
from benchmarks import runs
from benchmarks.chat import values as chat
from benchmarks.footprint import values as footprint
from benchmarks.gateway import values as gateway
from benchmarks.speech import values as speech


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, in seconds, bytes, and requests a second."""

    request: float
    """Processor time of the gateway for a request, and for a chunk of a stream."""
    chunk: float
    resident_mib: float
    commit: float
    """A durable one."""
    prompt: int
    answer: int
    """Tokens of the chat that was measured."""
    chat_rate: float
    """Requests a second of a machine with two cores, and how long one takes then."""
    chat_lasts: float
    real_time: float
    """Seconds of sound in a second, of the same machine."""
    print: footprint.Results

    @property
    def books(self) -> footprint.Books:
        return self.print.books["PostgreSQL"]

    @property
    def streamed(self) -> float:
        """Processor time of the gateway for one chat, streamed, a chunk a token."""
        return self.request + self.answer * self.chunk

    @property
    def row_bytes(self) -> float:
        """Of a request in PostgreSQL, without its rollups."""
        sizes = self.books.sizes
        return sizes["request"].row_bytes + 3 * sizes["entry"].row_bytes

    @property
    def log_bytes(self) -> float:
        """Of a request in PostgreSQL's log."""
        return self.books.log / self.books.requests

    @property
    def lookup(self) -> float:
        """Processor time of PostgreSQL for a key and a project's limits that are not remembered."""
        asked = self.print.asked
        return (asked.key_microseconds + asked.limits_microseconds) / 1e6

    @property
    def held_seconds(self) -> float:
        """For which a full batch keeps the rows that every batch changes: its work on them and its commit."""
        return self.books.held_ms / 1e3 + self.commit

    @property
    def held(self) -> float:
        """Requests a second that may pass these rows, in full batches."""
        return BATCH / 2 / self.held_seconds


def read(folder: Path) -> Figures | None:
    """From the newest results; None where one of them is missing."""
    chats = runs.newest(folder, chat.KIND, chat.Results)
    gateways = runs.newest(folder, gateway.KIND, gateway.Results)
    prints = runs.newest(folder, footprint.KIND, footprint.Results)
    sounds = next((one.short for one in speech.newest(folder)), None)
    side = gateways and gateways.side(gateway.ANTIPHON)
    if not (chats and sounds and prints and side):
        return None
    row = max((one for one in chats.rows if (one.load, one.side) == ("clients", chat.ANTIPHON)), key=_clients)
    pace = max((one for one in sounds.pace if one.side == speech.ANTIPHON), key=_clients)
    return Figures(
        request=(side.request_microseconds or 0) / 1e6,
        chunk=(side.chunk_microseconds or 0) / 1e6,
        resident_mib=side.resident_mib,
        commit=gateways.commit_ms / 1e3,
        prompt=int(chats.plan["prompt"]),
        answer=int(chats.plan["answer"]),
        chat_rate=row.median(lambda one: row.clients / one.seconds),
        chat_lasts=row.median(lambda one: one.seconds),
        real_time=pace.real_time_factor,
        print=prints,
    )


def _clients(one: chat.Row | speech.Pace) -> int:
    return one.clients
