"""The last chats of an organization, to be asked again: of what is kept, and with its consent on record."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from antiphon.api.retention import HEADER, ZERO
from antiphon.cli.administration import opened_database
from antiphon.cli.main import app
from antiphon.cli.output import CommandFailed, ExitCode
from antiphon.cli.recent import recent
from antiphon.errors import NotFound
from antiphon.moderation.monitor import Monitor, Seen
from antiphon.moderation.rules import load
from antiphon.moderation.scorers.rules import RulesScorer
from antiphon.moderation.scoring import Panel
from antiphon.privacy.keeper import keeping
from antiphon.storage.tables import audit_log
from fake_api import Api, Exchange
from privacy_house import housed
from service import CHAT, KEY, migrated, serving


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DATABASE", "CONTENT_KEYS", "CONTENT_STORAGE", "WEBHOOK"):
        monkeypatch.delenv(f"ANTIPHON_{name}", raising=False)
    return tmp_path / "home"


def keep(home: Path, *asked: dict[str, Any], **fields: Any) -> None:
    async def work() -> None:
        async with opened_database(str(home)) as (access, database):
            found = await access.organizations.find("default")
            async with housed(home, database, "") as house:
                house.now = time.time() - 100
                for body in asked:
                    content = {"asked": json.dumps(body).encode(), "organization_id": found.id}
                    await house.keep(house.item(**(content | fields)))

    asyncio.run(work())


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


def test_the_last_chats_are_asked_again_without_what_was_for_that_time_alone(home: Path) -> None:
    keep(home, chat("one"), chat("two", stream=True, store=True, metadata={"a": "b"}), chat("three", n=2))
    keep(home, chat("sound"), kind="transcription")
    keep(home, chat("broken off"), whole=False)
    keep(home, chat("gone"), expires_at=int(time.time()) - 1)
    found = recent(str(home), "default", 10, "Ann", None)
    assert [one.body["messages"][0]["content"] for one in found] == ["one", "two"]
    assert found[1].body.keys() == {"messages", "temperature", "seed"} and found[1].id.startswith("req_")
    [last] = recent(str(home), "default", 2, "Ann", 7)
    assert last.body["max_tokens"] == 7 and last.body["messages"][0]["content"] == "two"

    async def audited() -> list[Any]:
        async with opened_database(str(home)) as (_, database), database.connect() as connection:
            query = select(audit_log.c.payload).where(audit_log.c.type == "data.replayed")
            return [json.loads(payload) for payload in await connection.scalars(query)]

    assert [(one["requests"], one["agreed_by"]) for one in asyncio.run(audited())] == [
        (10, "Ann"),
        (2, "Ann"),
    ]


def test_where_nothing_is_kept_it_is_said(home: Path) -> None:
    with pytest.raises(CommandFailed, match="no chat of default is kept"):
        recent(str(home), "default", 10, "Ann", None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "what to ask"),
        (["--recent", "5", "--prompts", "{file}"], "what to ask"),
        (["--recent", "5"], "is said to agree"),
    ],
)
def test_it_has_to_be_said_what_and_who_agreed(
    home: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    (tmp_path / "p.txt").write_text("Hello\n")
    given = [word.format(file=tmp_path / "p.txt") for word in words]
    done = CliRunner().invoke(app, ["models", "compare", "a", "b", *given, "--home", str(home), "--key", "k"])
    problem = done.exception
    assert isinstance(problem, CommandFailed) and problem.exit_code is ExitCode.USAGE
    assert said in problem.message


def compare(home: Path, url: str, *models: str) -> Result:
    words = ["models", "compare", *models, "--recent", "5", "--agreed-by", "Ann", "--json"]
    return CliRunner().invoke(app, [*words, "--home", str(home), "--base-url", url, "--key", KEY])


async def test_what_is_asked_again_is_kept_nowhere(home: Path, tmp_path: Path) -> None:
    """Not by the policy of the key that asks, which keeps everything else for 30 days."""
    await asyncio.to_thread(keep, home, chat("one", store=True), chat("two"))
    served = tmp_path / "served"
    served.mkdir()
    url, acted = f"sqlite+aiosqlite:///{served}/kept.db", list[Seen]()

    async def act(found: Seen) -> None:
        acted.append(found)

    monitor = Monitor(Panel([RulesScorer(load(served))]), act, rate=1000, queue=10, repeats=3)
    async with (
        migrated(url) as database,
        housed(served, database, url) as house,
        keeping(house.content) as keeper,
        serving(served, observers=[keeper, monitor]) as service,
    ):
        address = f"http://127.0.0.1:{service.port}/v1"
        done = await asyncio.to_thread(compare, home, address, "gpt-3.5-turbo", CHAT)
        assert done.exit_code == 0 and json.loads(done.stdout)["compared"] == 2, done.output
        assert len(service.engine.jobs) == 4
        await keeper.flush()
        assert await house.rows() == [] and keeper.dropped.total() == 0
        assert monitor.waiting == 4, "it is watched like any other"
        await monitor.drain(10)
        assert monitor.outcomes["scored"] == 4
        # By the same key, and not asked again for anybody: that is kept.
        assert (await service.chat())[0] == 200
        await keeper.flush()
        assert len(await house.rows()) == 1


def test_a_server_that_does_not_promise_to_keep_nothing_is_told_nothing(home: Path, api: Api) -> None:
    keep(home, chat("one"))
    one = {"object": "model", "created": 1, "owned_by": "x"}
    listed = {"object": "list", "data": [one | {"id": name} for name in ("a", "b")]}
    asked: list[str | None] = []

    def answer(exchange: Exchange) -> None:
        asked.append(exchange.headers[HEADER])
        exchange.answer(200, json.dumps(listed).encode())

    api.answer = answer
    problem = compare(home, api.url, "a", "b").exception
    assert isinstance(problem, CommandFailed) and problem.exit_code is ExitCode.REFUSED
    assert "keeps nothing" in problem.message
    assert api.paths == ["/v1/models"] and asked == [ZERO]


@pytest.mark.parametrize("option", ["--org", "--organization"])
def test_the_organization_is_named_as_for_an_export(home: Path, option: str) -> None:
    words = ["--recent", "5", option, "nobody", "--agreed-by", "Ann", "--home", str(home), "--key", "k"]
    done = CliRunner().invoke(app, ["models", "compare", "a", "b", *words])
    assert isinstance(done.exception, NotFound) and "organization" in done.exception.message
