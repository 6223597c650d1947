"""Long work in the background: told of by every process, its owner's alone, and gone in the end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from antiphon.console import jobs as module
from antiphon.console.jobs import Job, Jobs, State, background, forget_erased
from antiphon.errors import InvalidRequest, NotFound
from antiphon.privacy import erased
from antiphon.values import Caller
from service import migrated
from tenants import World
from until import until

KIM = Caller(key_id="key_1", organization_id="org-1", organization="acme", kind="session", member_id="user-1")
OTHER = Caller(
    key_id="key_2", organization_id="org-1", organization="acme", kind="session", member_id="user-2"
)


async def _ended(jobs: Jobs, kind: str = "export") -> State:
    async with asyncio.timeout(30):
        while (state := await jobs.latest(kind, by=KIM)) is None or state.state == "running":
            await asyncio.sleep(0.01)
    return state


async def test_another_process_tells_how_a_job_goes_and_what_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TOLD_SECONDS", 0.01)
    go_on = asyncio.Event()

    async def work(job: Job) -> None:
        job.state.done, job.state.total = 1, 2
        await go_on.wait()
        (job.folder / "made").write_text("content")
        job.state.file, job.state.said = "made", "It is there."

    async with background(tmp_path / "jobs") as here, background(tmp_path / "jobs") as there:
        state = await here.start("export", work, by=KIM)
        for asked in (here, there):
            with pytest.raises(InvalidRequest, match="being done already"):
                await asked.start("export", work, by=KIM)
        async with asyncio.timeout(30):
            while (seen := await there.latest("export", by=KIM)) is None or not seen.total:
                await asyncio.sleep(0.01)
        assert (seen.id, seen.done, seen.total, seen.state) == (state.id, 1, 2, "running")
        with pytest.raises(NotFound):
            await there.file(state.id, by=KIM)
        go_on.set()
        assert (await _ended(there)).said == "It is there."
        assert (await there.file(state.id, by=KIM)).read_text() == "content"
        for id, by in ((state.id, OTHER), ("../x.y", KIM)):
            with pytest.raises(NotFound):
                await there.file(id, by=by)
        assert await there.latest("export", by=OTHER) is None
        await there.remove("export", by=OTHER)
        assert await there.latest("export", by=KIM) is not None
        await there.remove("export", by=KIM)
        assert await there.latest("export", by=KIM) is None
    assert not [path for path in (tmp_path / "jobs").iterdir() if path.is_dir()]


async def test_what_a_job_made_is_gone_after_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_SECONDS", 0.0)

    async def work(job: Job) -> None:
        (job.folder / "made").write_text("content")

    async with background(tmp_path) as jobs:
        await jobs.start("export", work, by=KIM)
        async with asyncio.timeout(30):
            while await jobs.latest("export", by=KIM) is not None:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("problem", "said"), [(InvalidRequest("Too much."), "Too much."), (ValueError("secret"), "see the log")]
)
async def test_a_job_that_fails_says_why_and_nothing_of_its_inside(
    tmp_path: Path, problem: Exception, said: str
) -> None:
    async def work(job: Job) -> None:
        raise problem

    async with background(tmp_path) as jobs:
        await jobs.start("export", work, by=KIM)
        state = await _ended(jobs)
        assert state.state == "failed" and state.bad and said in state.said and "secret" not in state.said


async def test_so_many_run_at_once_and_end_with_their_process(tmp_path: Path) -> None:
    stopped = []

    async def work(job: Job) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(job.stopped)

    async with background(tmp_path) as jobs:
        await jobs.start("export", work, by=KIM)
        await jobs.start("proof", work, by=KIM)
        with pytest.raises(InvalidRequest, match="try again in a minute"):
            await jobs.start("other", work, by=KIM)
        await asyncio.sleep(0)
    assert stopped == [True, True]


async def test_a_job_of_which_nothing_is_heard_has_broken_off(tmp_path: Path) -> None:
    async def work(job: Job) -> None:
        await asyncio.Event().wait()

    async with background(tmp_path) as jobs:
        await jobs.start("export", work, by=KIM)
        for task in jobs._running:
            task.cancel()
        await asyncio.sleep(0.05)
        await asyncio.to_thread(_age, tmp_path)
        state = await jobs.latest("export", by=KIM)
        assert state is not None and state.state == "failed" and "broke off" in state.said


def files(root: Path) -> list[str]:
    """What lies in the folders of jobs."""
    return [path.name for path in root.rglob("*") if path.is_file() and path.name != ".lock"]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with migrated(f"sqlite+aiosqlite:///{tmp_path}/antiphon.db") as database:
        yield World(database)


async def test_what_was_made_before_an_erasure_is_gone_with_it_whoever_made_it(
    tmp_path: Path, world: World
) -> None:
    """Of the organization or of one project, by whoever knows nothing of the jobs; and no other's."""
    acme, other = await world.organization("acme"), await world.organization("other")
    shop = await world.project(acme, "shop")
    root = tmp_path / "jobs"

    async def work(job: Job) -> None:
        (job.folder / "made").write_text("content")
        job.state.file = "made"

    def clock() -> float:
        return world.wall

    kim, pat = (msgspec.structs.replace(KIM, organization_id=one.id) for one in (acme, other))
    async with background(root, clock) as here, background(root, clock) as there:
        for scope, jobs in ((shop.id, here), (acme.id, there)):
            world.wall += 100
            made = [await jobs.start("export", work, by=kim), await here.start("export", work, by=pat)]
            async with asyncio.timeout(30):
                while files(root).count("made") < 2:
                    await asyncio.sleep(0.01)
            await forget_erased(world.database, root)
            assert files(root).count("made") == 2
            await world.database.run(lambda c, s=scope: erased.note(c, s, world.wall + 1))
            await forget_erased(world.database, root)
            assert await there.latest("export", by=kim) is None
            with pytest.raises(NotFound):
                await jobs.file(made[0].id, by=kim)
            assert files(root).count("made") == 1
            assert (await here.file(made[1].id, by=pat)).read_text() == "content"
            await here.remove("export", by=pat)
        world.wall += 100
        made_after = await here.start("export", work, by=kim)
        await until(lambda: files(root).count("made") == 1)
        await forget_erased(world.database, root)
        assert (await here.latest("export", by=kim)) is not None and made_after.began_at > world.wall - 1


async def test_what_is_being_made_is_taken_away_and_nothing_can_be_added(
    tmp_path: Path, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    acme = await world.organization("acme")
    root, began, go_on = tmp_path / "jobs", asyncio.Event(), asyncio.Event()

    async def work(job: Job) -> None:
        with (job.folder / "made").open("w") as file:
            file.write("content")
            file.flush()
            began.set()
            await go_on.wait()
            file.write("more")
        (job.folder / "again").write_text("content")

    async with background(root, lambda: world.wall) as jobs:
        await jobs.start("export", work, by=msgspec.structs.replace(KIM, organization_id=acme.id))
        await asyncio.wait_for(began.wait(), 30)
        # As one that was killed in its midst left it.
        left = next(path for path in root.glob("*/*") if path.is_dir()).with_name("discarded-1")
        left.mkdir()
        (left / "made").write_text("content")
        await world.database.run(lambda c: erased.note(c, acme.id, world.wall))
        await forget_erased(world.database, root)
        assert files(root) == []
        go_on.set()
        [job] = jobs._running.values()
        await until(lambda: job.state.state == "failed")
        assert files(root) == [] and "broke off" not in caplog.text


def _age(root: Path) -> None:
    [path] = root.glob("*/*/state.json")
    os.utime(path, (0, 0))
