"""One real server for the session, and every client of `clients/` against it."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
from benchmarks.processes import Server, antiphon, tail
from drivers import NAMES, Client, running

from antiphon.catalogue.pull import pull
from browser import Browser, chromium
from tiny_models import write_bert

EMBEDDING = "tiny-bert-2024-01-01"
MODELS = """
[aliases]
"org/family:tag" = { snapshot = "smollm2-135m-instruct-2024-11-01" }
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`antiphon serve` on a data folder of its own; it must end cleanly after SIGTERM.

    It also serves a model whose name is hard on paths, as names of the Hugging Face hub and of Ollama are,
    and a tiny one that embeds.
    """
    home = tmp_path_factory.mktemp("home")
    (home / "models.toml").write_text(MODELS)
    pull(home, str(write_bert(home / "bert.gguf")), EMBEDDING, alias="text-embedding-3-small")
    with antiphon(home) as started:
        yield started


@pytest.fixture(scope="session", params=NAMES)
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Client]:
    """Each client in turn, or the one that a test names."""
    with running(request.param, server) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a file: each visits with a context of its own.

    While it is there, a loop of Playwright's runs in this thread: no coroutine can be tested beside it.
    """
    with chromium() as opened:
        yield opened


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the end of the server's log."""
    report = yield
    started = getattr(item, "funcargs", {}).get("server")
    if report.failed and isinstance(started, Server):
        report.sections.append(("antiphon serve", tail(started.log)))
    return report
