"""`antiphon data export` and `erase`: from the command line to the files, and to nothing."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from antiphon.cli.administration import opened_database
from antiphon.cli.data import data
from antiphon.cli.output import CommandFailed
from antiphon.console.jobs import FOLDER, Job, background
from antiphon.errors import NotFound
from antiphon.operations.purge import JOB
from antiphon.settings import KEYS_NAME
from antiphon.storage import leases
from antiphon.values import Caller
from privacy_house import housed
from until import until


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DATABASE", "CONTENT_KEYS", "CONTENT_STORAGE", "WEBHOOK"):
        monkeypatch.delenv(f"ANTIPHON_{name}", raising=False)
    home = tmp_path / "home"

    async def keep() -> None:
        async with opened_database(str(home)) as (access, database):
            found = await access.organizations.find("default")
            async with housed(home, database, "") as house:
                house.now = time.time() - 100
                await house.keep(house.item("hello", organization_id=found.id, recording=b"sound"))

    asyncio.run(keep())
    return home


def run(home: Path, command: str, *arguments: str, input: str = "") -> Result:
    return CliRunner().invoke(data, [command, "--home", str(home), *arguments], input=input)


def purged_elsewhere(home: Path) -> None:
    """Have another process be at the purge."""

    async def taken() -> None:
        async with opened_database(str(home)) as (_, database):
            assert await database.run(lambda c: leases.take(c, JOB, "other", 300, int(time.time())))

    asyncio.run(taken())


def test_what_is_kept_is_given_out_then_erased(home: Path, tmp_path: Path) -> None:
    done = run(home, "export", "--organization", "default", "--out", str(tmp_path / "out"))
    assert done.exit_code == 0 and done.stdout.endswith("1 requests, 1 recordings\n"), done.output
    [line] = (tmp_path / "out" / "content.jsonl").read_text().splitlines()
    assert json.loads(line)["body"] == {"asked": "hello"}
    assert run(home, "erase", "--org", "default", input="n\n").exit_code == 1
    done = run(home, "erase", "--org", "default", "--yes")
    assert done.exit_code == 0 and "1 requests are erased" in done.stdout
    again = run(home, "export", "--org", "default", "--out", str(tmp_path / "again"))
    assert again.stdout.endswith("0 requests, 0 recordings\n")
    assert "erased" in run(home, "receipts").stdout


def test_an_erasure_takes_what_the_console_exported_with_it(home: Path) -> None:
    """Though the process that made it knows nothing of the erasure, and though another one purges."""

    async def made() -> None:
        async with opened_database(str(home)) as (access, _):
            whose = await access.organizations.find("default")
        by = Caller(key_id="key_1", organization_id=whose.id, organization="default", kind="session")

        async def work(job: Job) -> None:
            (job.folder / "export.zip").write_bytes(b"content")
            job.state.file = "export.zip"

        async with background(home / FOLDER) as jobs:
            for busy in (False, True):
                id = (await jobs.start("export", work, by=by)).id
                await until(lambda: len(list(home.rglob("export.zip"))) == 1)
                if busy:
                    await asyncio.to_thread(purged_elsewhere, home)
                done = await asyncio.to_thread(run, home, "erase", "--org", "default", "--yes")
                assert done.exit_code == 0 and ("Another process" in done.stdout) == busy, done.output
                assert await asyncio.to_thread(lambda: list(home.rglob("export.zip"))) == []
                with pytest.raises(NotFound):
                    await jobs.file(id, by=by)

    asyncio.run(made())


def test_nothing_is_given_out_for_training_unless_it_was_agreed_to(home: Path, tmp_path: Path) -> None:
    done = run(home, "export", "--training", "--out", str(tmp_path / "out"))
    assert done.exit_code == 0 and done.stdout.endswith("0 requests, 0 recordings\n")
    run(home, "opt-in", "--by", "Ann", "--text", "2026-11")
    done = run(home, "export", "--training", "--org", "default", "--out", str(tmp_path / "in"))
    assert done.stdout.endswith("0 requests, 0 recordings\n"), "it was asked before"


def test_it_has_to_be_said_whose(home: Path, tmp_path: Path) -> None:
    problem = run(home, "export", "--out", str(tmp_path / "out")).exception
    assert isinstance(problem, CommandFailed) and "whose content" in problem.message


def test_what_is_erased_stays_so_though_another_process_purges(home: Path, tmp_path: Path) -> None:
    purged_elsewhere(home)
    done = run(home, "erase", "--org", "default", "--yes")
    assert done.exit_code == 0 and "1 requests are erased, and nobody reads them any more" in done.stdout
    assert "Another process is purging" in done.stdout and "within a minute" in done.stderr
    again = run(home, "export", "--org", "default", "--out", str(tmp_path / "again"))
    assert again.stdout.endswith("0 requests, 0 recordings\n")


def test_what_cannot_be_read_is_left_out_and_said(home: Path, tmp_path: Path) -> None:
    for path in home.glob(f"{KEYS_NAME}*"):
        path.unlink()
    done = run(home, "export", "--org", "default", "--out", str(tmp_path / "out"))
    assert done.stdout.endswith("0 requests, 0 recordings\n")
    assert isinstance(done.exception, CommandFailed) and "the keys of 1 requests" in done.exception.message
