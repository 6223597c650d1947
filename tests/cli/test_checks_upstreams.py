"""What the doctor finds of models that are served elsewhere: each is asked over real HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from antiphon.cli.checks.upstreams import upstreams
from antiphon.cli.doctor import examine
from antiphon.settings import Settings
from fake_openai import KEY, MODEL, FakeOpenAI, served

ENTRY = """
[snapshots."far-2026-01-01"]
task = "chat"
engine = "openai"
owned_by = "others"
licence = "MIT"
released = 2026-01-01
context = 4096
serve = true
source = {{ kind = "upstream", url = {urls}, model = "{model}", key_file = "{key}" }}
"""


@contextmanager
def running(fake: FakeOpenAI) -> Iterator[str]:
    """The URL of a server that runs in a thread: the doctor has a loop of its own."""
    started, stop = threading.Event(), asyncio.Event()
    found: list[int] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with served(fake) as port:
            found.append(port)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert started.wait(10)
        yield f"http://127.0.0.1:{found[0]}/v1"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def home(folder: Path, *urls: str) -> Settings:
    """Settings that allow these URLs, with a catalogue that has a model there."""
    (folder / "key").write_text(KEY)
    told = ENTRY.format(urls=list(urls), model=MODEL, key=folder / "key")
    (folder / "models.toml").write_text(told)
    return Settings(home=str(folder), upstreams=" ".join(url.removesuffix("/v1") for url in urls))


def test_nothing_is_served_elsewhere(tmp_path: Path) -> None:
    assert upstreams(Settings(home=str(tmp_path))).detail == "nothing is served elsewhere"


def test_what_is_there_is_well(tmp_path: Path) -> None:
    with running(FakeOpenAI()) as one, running(FakeOpenAI()) as other:
        found = upstreams(home(tmp_path, one, other))
    assert found.state == "ok" and one in found.detail and other in found.detail


@pytest.mark.parametrize(
    ("wrong", "said", "fix"),
    [
        ("key", "401", "key_file"),
        ("model", MODEL, "model"),
        ("away", "does not answer", "url"),
        ("file", "cannot be read", "key"),
    ],
)
def test_what_is_wrong_is_told_with_its_fix(wrong: str, said: str, fix: str, tmp_path: Path) -> None:
    fake = FakeOpenAI()
    with running(fake) as url:
        settings = home(tmp_path, "http://127.0.0.1:1/v1" if wrong == "away" else url)
        if wrong == "key":
            fake.key = "another"
        elif wrong == "model":
            fake.listed["id"] = "another"
        elif wrong == "file":
            (tmp_path / "key").unlink()
        found = examine(upstreams, settings)
    assert found.state == "problem" and said in found.detail and fix in found.fix
    assert "far-2026-01-01" in found.detail and KEY not in found.detail


def test_what_is_not_allowed_is_not_asked(tmp_path: Path) -> None:
    fake = FakeOpenAI()
    with running(fake) as url:
        home(tmp_path, url)
        found = examine(upstreams, Settings(home=str(tmp_path)))
    assert found.state == "problem" and "`upstreams`" in found.detail and not fake.asked
