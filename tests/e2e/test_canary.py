"""The data promise: what was kept can be read until it expires, and afterwards by nobody, from nothing.

A canary goes through the API in a prompt, an answer, a recording, a transcript and metadata, past a monitor
that flags it, with a log that tells all it can. First it is found: in the data folder, and in one that is
restored from a backup, by decrypting with the keys that there are. Then the clock moves, the purge runs, the
next backup is made, and it is looked for: in tables, logs of the database, files, temporary folders, the log,
and every backup of data; in the clear, and under every key that is left, those of the one backup of keys
included.
"""

from __future__ import annotations

import base64
import logging
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import Column, Connection, MetaData, Table, Text, delete, insert

from antiphon.access.pepper import connected
from antiphon.admission.gate import Gate
from antiphon.app.data import Evidence
from antiphon.app.moderation import moderating
from antiphon.app.work import beside
from antiphon.cli.logs import configure
from antiphon.moderation.flags import Flag
from antiphon.operations.backup import Backup, back_up
from antiphon.operations.moderating import Moderating
from antiphon.operations.purge import Purge
from antiphon.operations.restore import restore
from antiphon.privacy import recordings
from antiphon.privacy.content import Content
from antiphon.privacy.days import SECONDS
from antiphon.privacy.keeper import keeping
from antiphon.privacy.keys import opened_keys
from antiphon.privacy.places import FOLDER, Folder
from antiphon.privacy.receipts import load_signer
from antiphon.privacy.sealing import Unreadable, bound, unseal
from antiphon.settings import DATABASE_NAME, KEYS_NAME, Settings
from antiphon.storage import sqlite, tables
from antiphon.storage.database import Database
from antiphon.storage.migrations import upgrade
from antiphon.values import ChatJob, Delta, Segment, SpeechJob, Transcript, Usage
from service import CALLER, CHAT, ScriptedEngine, Service, serving

SQLITE = sqlite.safe(sqlite.installed())
"""What the program uses: another one in the same process would not see its locks."""
PARTS = ("prompt", "answer", "audio", "transcript", "metadata")
CANARIES = {part: f"canary-{part}-5b1e77" for part in PARTS}
KINDS = ["chat", "chat", "completion", "transcription", "transcription"]
DELETED = {"chat": 2, "completion": 1, "transcription": 2, "recording": 2, "key": 1}
COPIES = {"early": 5, "late": 5, "newest": 0}
"""The backups there are at the end, and how many requests each file of data holds."""
RULES = """
[[rule]]
name = "canary"
category = "illicit"
patterns = ["canary-prompt-[0-9a-f]+"]
"""
derived = Table("derived_of_requests", MetaData(), Column("request_id", Text), Column("evidence", Text))


async def answers(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
    yield Delta(0, CANARIES["answer"], (), "stop", 2)
    yield Usage(prompt_tokens=3, completion_tokens=2)


async def hears(job: SpeechJob) -> AsyncGenerator[Segment | Transcript, None]:
    yield Segment(
        id=0,
        seek=0,
        start=0.0,
        end=1.0,
        text=f" {CANARIES['transcript']}",
        tokens=[1],
        temperature=0.0,
        avg_logprob=-0.1,
        compression_ratio=1.0,
        no_speech_prob=0.0,
    )
    yield Transcript(language="en", duration=1.0, usage=Usage(seconds=1.0))


async def use(service: Service) -> None:
    """Everything that content can come in by, streamed and not."""
    asked = [{"role": "user", "content": CANARIES["prompt"]}]
    status, _, body = await service.chat(messages=asked, store=True, metadata={"note": CANARIES["metadata"]})
    assert status == 200 and CANARIES["answer"] in body["choices"][0]["message"]["content"]
    assert (await service.chat(messages=asked, stream=True))[0] == 200
    assert (await service.complete(prompt=CANARIES["prompt"]))[0] == 200
    for stream in ("false", "true"):
        form = aiohttp.FormData()
        form.add_field("file", f"{CANARIES['audio']} seconds=1".encode(), filename="a.wav")
        form.add_field("model", "whisper-1")
        form.add_field("prompt", CANARIES["prompt"])
        form.add_field("stream", stream)
        assert (await service.call("POST", "/v1/audio/transcriptions", data=form))[0] == 200


def forms(text: str) -> list[bytes]:
    """A text as it might lie somewhere: as it is, in UTF-16, in base64 at any offset, and backwards."""
    plain = text.encode()
    encoded = [base64.b64encode(b" " * pad + plain)[4 if pad else 0 : -4] for pad in range(3)]
    return [plain, text.encode("utf-16-le"), plain[::-1], plain.hex().encode(), *encoded]


def in_the_clear(*folders: Path) -> set[str]:
    """The parts whose canary lies in any file."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert files
    held = [path.read_bytes() for path in files]
    return {
        part for part, text in CANARIES.items() if any(form in one for form in forms(text) for one in held)
    }


def secrets_in(path: Path) -> list[bytes]:
    """Every key in a key store."""
    with SQLITE.connect(f"file:{path}?mode=ro", uri=True) as connection:
        found = [secret for (secret,) in connection.execute("select secret from sealing_key")]
    connection.close()
    return found


def rows_in(path: Path) -> list[dict[str, Any]]:
    with SQLITE.connect(path) as connection:
        connection.row_factory = SQLITE.Row
        found = [dict(row) for row in connection.execute("select * from content")]
    connection.close()
    return found


def decrypted(rows: Sequence[dict[str, Any]], folders: Sequence[Path], keys: Sequence[bytes]) -> set[str]:
    """The parts whose canary is in anything that any of the keys opens, whichever it was written with."""
    found = set()
    for plain in (plain for key in keys for plain in _opened(rows, folders, key)):
        found |= {part for part, text in CANARIES.items() if text.encode() in plain}
    return found


def _opened(rows: Sequence[dict[str, Any]], folders: Sequence[Path], key: bytes) -> Iterator[bytes]:
    for row in rows:
        whose = (row["organization_id"], row["id"])
        for part in ("payload", "metadata"):
            try:
                yield unseal(key, row[part] or b"", bound(*whose, part))
            except Unreadable:
                continue
        for file in (file for folder in folders for file in folder.rglob(f"{row['id']}*")):
            try:
                yield b"".join(recordings.unseal(key, recordings.read(file), bound(*whose, "recording")))
            except Unreadable:
                continue


def unpacked(artefact: Path, to: Path) -> Path:
    """What a file of a backup holds."""
    with tarfile.open(artefact) as archive:
        archive.extractall(to, filter="data")
    return to


def silent(name: str, done: int, total: int) -> None:
    """Nobody looks."""


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """Log as a server does, all that it ever would, into a file."""
    root, level = logging.getLogger(), logging.getLogger().level
    with path.open("w") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", file)
        patch.setattr(root, "handlers", [])
        configure("debug", "json")
        try:
            yield
        finally:
            root.setLevel(level)


@asynccontextmanager
async def installed(settings: Settings) -> AsyncIterator[Database]:
    """The database, with the organization whose requests these are."""
    async with await connected(settings.database_url, settings.home_path) as database:
        await upgrade(database)
        whose = {"id": CALLER.organization_id, "name": "default", "created_at": 0, "prepaid": False}
        await database.run(lambda c: c.execute(insert(tables.organization).values(whose)))
        yield database


class House:
    """A server's data folder and all else that it leaves on the machine."""

    def __init__(self, place: Path) -> None:
        self.home, self.temporary, self.logs, self.copies = (
            place / name for name in ("home", "tmp", "logs", "copies")
        )
        for folder in (self.home, self.temporary, self.logs):
            folder.mkdir()
        (self.home / "moderation.toml").write_text(RULES)
        (self.temporary / "something").write_bytes(b"else")
        self.place = place
        self.settings = Settings(home=str(self.home))

    @property
    def everywhere(self) -> list[Path]:
        return [self.home, self.temporary, self.logs, self.copies]

    def rows(self) -> list[dict[str, Any]]:
        return rows_in(self.home / DATABASE_NAME)

    def secrets(self) -> list[bytes]:
        return secrets_in(self.home / KEYS_NAME)

    async def back_up(self, name: str) -> Backup:
        return await back_up(self.settings, self.copies / f"{name}.tar", silent)

    async def restored(self, backup: Backup) -> tuple[int, set[str]]:
        """How many requests a restore leaves out, and what is found in the folder that it makes."""
        fresh = self.place / "fresh"
        done = await restore(backup.data, backup.keys, fresh, "", silent)
        rows = rows_in(fresh / DATABASE_NAME)
        found = decrypted(rows, [fresh / FOLDER], secrets_in(fresh / KEYS_NAME))
        shutil.rmtree(fresh)
        return done.forgotten, found


async def used(house: House, database: Database, content: Content) -> Moderating:
    """Everything goes through the API once, is kept, and is looked at by the monitor."""
    async with (
        keeping(content) as keeper,
        moderating(house.settings, database, Gate(house.settings), Evidence(content)) as moderation,
        beside(moderation.work()),
    ):
        [monitor] = moderation.observers
        engine = ScriptedEngine(chat=answers, speech=hears)
        async with serving(house.home, engine, observers=[keeper, monitor]) as service:
            await use(service)
            await keeper.flush()
            await monitor.settled()
        assert keeper.dropped.total() == 0
        assert monitor.outcomes == {"scored": 5, "unseen": 0, "failed": 0, "unheard": 0}
    return moderation.services.moderating


async def test_nothing_finds_what_has_expired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(tmp_path)
    monkeypatch.setenv("TMPDIR", str(house.temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    shift = 0.0

    def evidence(connection: Connection, ids: Sequence[str]) -> None:
        connection.execute(delete(derived).where(derived.c.request_id.in_(list(ids))))

    with logged(house.logs / "serve.log"):
        async with (
            installed(house.settings) as database,
            opened_keys(house.settings, database) as keys,
        ):
            content = Content(database, keys, Folder(house.home))
            watch = await used(house, database, content)
            kept = await content.find(CALLER.organization_id, time.time())
            assert sorted(one.row.kind for one in kept) == KINDS
            flag = await flagged(watch)
            assert CANARIES["prompt"] in (await watch.evidence(None, flag.id) or "")
            rows = [{"request_id": one.row.request_id, "evidence": CANARIES["prompt"]} for one in kept]
            async with database.begin() as connection:
                await connection.run_sync(derived.metadata.create_all)
                await connection.execute(insert(derived), rows)

            # It is there: with the keys of now all is found, and without them nothing but the evidence.
            live, before = house.secrets(), house.rows()
            assert decrypted(before, [house.home / FOLDER], live) == set(PARTS)
            assert in_the_clear(house.home) == {"prompt"}
            first = await house.back_up("first")
            assert await house.restored(first) == (0, set(PARTS))
            assert in_the_clear(house.copies) == {"prompt"}
            first.data.unlink()

            # Backups as they are without such evidence: an early one, and one of the last day of all this.
            await database.run(lambda c: c.execute(delete(derived)))
            await database.forget()
            early = await house.back_up("early")
            signer = load_signer(house.home)
            purge = Purge(database, content, signer, lambda: time.time() + shift, derived=[evidence])
            shift = 29.5 * SECONDS
            await purge.look(sign=True)
            await house.back_up("late")
            await database.run(lambda c: c.execute(insert(derived), rows))
            assert len(house.rows()) == 5

            shift = 32.0 * SECONDS
            body = await purge.look(sign=True)
            assert body is not None and {one.kind: one.number for one in body.deleted} == DELETED
            await database.forget()  # the evidence was in the clear: its pages are written anew
            newest = await house.back_up("newest")

            nowhere(house, live, before, newest.keys)
            assert await house.restored(early) == (5, set())
            assert await watch.evidence(None, flag.id) is None
            assert not keys._known  # nor in memory
    said = (house.logs / "serve.log").read_text()
    assert f"{flag.id}: {flag.action} for {flag.category}" in said and str(flag.request_id) in said


def nowhere(house: House, live: list[bytes], before: list[dict[str, Any]], kept: Path) -> None:
    """Nothing of it is anywhere: `live` are the keys of when it was there, `before` its rows; `kept` is
    the one file of keys that backups leave."""
    data = {house.copies / f"{name}.tar": number for name, number in COPIES.items()}
    assert {*house.copies.iterdir()} == {*data, kept}
    opening = unpacked(kept, house.place / "opening")
    left = [*house.secrets(), *secrets_in(opening / KEYS_NAME), *_made_up()]
    assert not set(live) & set(left)
    assert in_the_clear(*house.everywhere) == set()
    assert house.rows() == [] and decrypted(before, [house.home / FOLDER], left) == set()
    for artefact, number in data.items():
        inside = unpacked(artefact, house.place / artefact.stem)
        found, recorded = rows_in(inside / DATABASE_NAME), [inside / FOLDER]
        assert len(found) == number and in_the_clear(inside) == set()
        # It is in those from before, and all that is missing is the keys.
        assert decrypted(found, recorded, live) == (set(PARTS) if number else set())
        assert decrypted(found, recorded, left) == set()
    # These are nowhere, in no file of a store, its log included.
    files = [path for folder in house.everywhere for path in folder.rglob("*") if path.is_file()]
    held = b"".join(path.read_bytes() for path in files)
    assert not any(key in held for key in live)


async def flagged(watch: Moderating) -> Flag:
    """What the monitor has raised for a chat."""
    found, _ = await watch.flags(CALLER.organization_id)
    return next(flag for flag in found if flag.snapshot == CHAT)


def _made_up() -> list[bytes]:
    """Keys that open nothing: with them the search is not empty, however few are left."""
    return [bytes([number]) * 32 for number in range(3)]
