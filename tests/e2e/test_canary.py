"""The data promise: what was kept can be read until it expires, and afterwards by nobody, from nothing.

A canary goes through the API in a prompt, an answer, a recording, a transcript and metadata. First it is
found, by decrypting with the keys that there are. Then the clock moves, the purge runs, and it is looked for:
in tables, logs of the database, files, temporary folders, logs, and backups from before; in the clear, and
under every key that is left, the newest copy of the key store included.
"""

from __future__ import annotations

import base64
import logging
import shutil
import sqlite3
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import Column, Connection, MetaData, Table, Text, delete, insert

from antiphon.operations.purge import Purge
from antiphon.privacy import recordings
from antiphon.privacy.content import Content
from antiphon.privacy.days import SECONDS
from antiphon.privacy.keeper import keeping
from antiphon.privacy.keys import opened_keys
from antiphon.privacy.places import FOLDER, Folder
from antiphon.privacy.receipts import load_signer
from antiphon.privacy.sealing import Unreadable, bound, unseal
from antiphon.settings import DATABASE_NAME, KEYS_NAME, Settings
from antiphon.storage.database import Database
from antiphon.values import ChatJob, Delta, Segment, SpeechJob, Transcript, Usage
from service import ScriptedEngine, Service, serving

PARTS = ("prompt", "answer", "audio", "transcript", "metadata")
CANARIES = {part: f"canary-{part}-5b1e77" for part in PARTS}
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
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        found = [secret for (secret,) in connection.execute("select secret from sealing_key")]
    connection.close()
    return found


def rows_in(path: Path) -> list[dict[str, Any]]:
    with sqlite3.connect(path) as connection:
        connection.row_factory = sqlite3.Row
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


def copied(home: Path, to: Path) -> Path:
    """A backup of the data, without the keys."""
    shutil.copytree(home, to, ignore=shutil.ignore_patterns(f"{KEYS_NAME}*"))
    return to


async def test_nothing_finds_what_has_expired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "aiosqlite")  # as a server has it: it would tell every value
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    (temporary / "something").write_bytes(b"else")
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    settings = Settings(home=str(home))
    shift = 0.0

    def evidence(connection: Connection, ids: Sequence[str]) -> None:
        connection.execute(delete(derived).where(derived.c.request_id.in_(list(ids))))

    engine = ScriptedEngine(chat=answers, speech=hears)
    async with Database(settings.database_url) as database, opened_keys(settings, database) as keys:
        content = Content(database, keys, Folder(home))
        async with keeping(content) as keeper:
            async with serving(home, engine, observers=[keeper]) as service:
                await use(service)
                await keeper.flush()
            assert keeper.dropped.total() == 0
        kept = await content.find("org-1", time.time())
        assert sorted(one.row.kind for one in kept) == ["chat", "chat", "completion", *["transcription"] * 2]
        async with database.begin() as connection:
            await connection.run_sync(derived.metadata.create_all)
            rows = [{"request_id": one.row.request_id, "evidence": CANARIES["prompt"]} for one in kept]
            await connection.execute(insert(derived), rows)

        # It is there: under the keys of now everything is found, and without them nothing but the evidence.
        first = copied(home, tmp_path / "backup-1")
        live = secrets_in(home / KEYS_NAME)
        before = rows_in(first / DATABASE_NAME)
        assert decrypted(before, [home / FOLDER], live) == set(PARTS)
        assert decrypted(before, [first / FOLDER], live) == set(PARTS)
        assert in_the_clear(home) == {"prompt"}
        shutil.rmtree(first)

        # A backup as it is without such evidence; and one from the last day on which all is there.
        await database.run(lambda c: c.execute(delete(derived)))
        await database.forget()
        first = copied(home, tmp_path / "backup-1")
        async with database.begin() as connection:
            await connection.execute(insert(derived), rows)
        purge = Purge(database, content, load_signer(home), lambda: time.time() + shift, derived=[evidence])
        shift = 29.5 * SECONDS
        await purge.look(sign=True)
        assert len(rows_in(home / DATABASE_NAME)) == 5

        shift = 32.0 * SECONDS
        body = await purge.look(sign=True)
        assert body is not None and {one.kind: one.number for one in body.deleted} == {
            "chat": 2,
            "completion": 1,
            "transcription": 2,
            "recording": 2,
            "key": 1,
        }
        await database.forget()  # the evidence was in the clear: its pages are written anew
        last = tmp_path / "newest-keys.db"
        shutil.copy(home / KEYS_NAME, last)

        left = [*secrets_in(home / KEYS_NAME), *secrets_in(last), *_made_up()]
        assert not set(live) & set(left)
        everywhere = [home, temporary, first]
        assert in_the_clear(*everywhere) == set()
        assert decrypted(before, [home / FOLDER, first / FOLDER], left) == set()
        assert decrypted(rows_in(first / DATABASE_NAME), [first / FOLDER], left) == set()
        assert rows_in(home / DATABASE_NAME) == []
        # The keys themselves are nowhere, in no file of the store, its log included, and not in memory.
        held = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
        assert not any(key in held for key in live)
        assert not keys._known
        assert [text for text in CANARIES.values() if text in caplog.text] == []


def _made_up() -> list[bytes]:
    """Keys that open nothing: with them the search is not empty, however few are left."""
    return [bytes([number]) * 32 for number in range(3)]
