"""`antiphon dedicated tune` against a scripted server: what is shown, changed for the time, and refused."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner, Result

from antiphon.cli import tuning
from antiphon.cli.administration import House, opened_house
from antiphon.cli.main import app
from antiphon.cli.output import CommandFailed, ExitCode
from antiphon.cli.tune import parsed_loads
from antiphon.errors import InvalidRequest, NotFound
from antiphon.ledger import measurements
from antiphon.operations.orders import Change
from antiphon.pools import machines
from antiphon.storage.tables import api_key, dedicated_instance
from antiphon.values import Capacity
from fake_api import Api, Exchange, sse

CHAT, SPEECH = "smollm2-135m-instruct-2024-11-01", "whisper-base-2022-09-21"
ID = "dedicated_1"
PACE = 0.02


@pytest.fixture
def home(tmp_path: Path, runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with one instance, with a load of 2, whose requests spill over."""
    monkeypatch.delenv("ANTIPHON_DATABASE", raising=False)
    sell(tmp_path / "home")
    return tmp_path / "home"


def sell(home: Path, **changes: Any) -> None:
    async def run() -> None:
        async with opened_house(str(home), "default") as house:
            row = {
                "id": ID, "organization_id": house.organization_id, "name": "mine", "snapshot": CHAT,
                "engine": "llama", "context": 1024, "load": 2, "replicas": 1, "spill_over": True, "cpus": 0,
                "memory": 0, "gpus": 0, "begins_at": 0, "ends_at": None, "created_at": 0,
                "server": "here", "ordered": b"",
            }  # fmt: skip
            async with house.database.begin() as connection:
                there = {"here": Capacity(cpus=64_000, memory=2**40)}
                await connection.run_sync(machines.tell, "here", there, int(time.time()) + 1000)
                await connection.execute(insert(dedicated_instance).values(row | changes))

    asyncio.run(run())


def read(home: Path, what: Any) -> Any:
    async def run() -> Any:
        async with opened_house(str(home), "default") as house:
            return await what(house)

    return asyncio.run(run())


async def sizes(house: House) -> list[tuple[int, bool]]:
    """Load and spilling over of the instances."""
    columns = dedicated_instance.c
    async with house.database.connect() as connection:
        query = select(columns.load, columns.spill_over).order_by(columns.id)
        return [(load, spills) for load, spills in await connection.execute(query)]


async def revoked(house: House) -> list[bool]:
    """Of each key, whether it is; each was to expire, too."""
    async with house.database.connect() as connection:
        rows = (await connection.execute(select(api_key.c.revoked_at, api_key.c.expires_at))).all()
    assert all(row.expires_at < time.time() + 7200 for row in rows)
    return [row.revoked_at is not None for row in rows]


class Served:
    """A server that runs the instance; an answer takes longer, the more are asked at once."""

    def __init__(self, api: Api) -> None:
        self.loads: list[tuple[int, bool]] = []
        self.status = 200
        self.home: Path | None = None
        self.meanwhile: Callable[[], object] | None = None
        """Is done once, when something is asked."""
        self._api = api
        self._lock = threading.Lock()
        self._running = 0
        api.answer = self.answer

    def answer(self, exchange: Exchange) -> None:
        if exchange.path.endswith("/completions"):
            with self._lock:
                meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile:
                meanwhile()
        if exchange.path == "/metrics":
            gauge = f'antiphon_engine_slots{{snapshot="{CHAT}@{ID}"}} 256.0\n'
            return exchange.answer(200, gauge.encode(), "text/plain")
        body = json.loads(exchange.body())
        if exchange.path.endswith("/render"):
            if self.home:
                self.loads += read(self.home, sizes)
            tokens = len(body["messages"][0]["content"].split())
            return exchange.answer(200, json.dumps({"token_count": tokens}).encode())
        if self.status != 200:
            return exchange.error(self.status, "as asked")
        self._api.bodies.append(body)
        with self._lock:
            self._running += 1
            wait = PACE * self._running
        exchange.stream()
        exchange.send(sse("word"))
        time.sleep(wait)
        exchange.send(sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}))
        usage = {"prompt_tokens": 10, "completion_tokens": body["max_tokens"]}
        with self._lock:
            self._running -= 1
        exchange.send(sse({"choices": [], "usage": usage}))
        exchange.send(b"data: [DONE]\n\n")


@pytest.fixture
def served(api: Api) -> Served:
    return Served(api)


def tune(runner: CliRunner, api: Api, *words: str, id: str = ID) -> Result:
    return runner.invoke(app, ["dedicated", "tune", id, "--base-url", api.url, *words])


def failure(result: Result) -> CommandFailed:
    assert isinstance(result.exception, CommandFailed), result.output
    return result.exception


def test_the_figures_are_shown_and_drawn_and_kept(
    home: Path, runner: CliRunner, api: Api, served: Served, tmp_path: Path
) -> None:
    served.home = home
    png = tmp_path / "chart.png"
    result = tune(runner, api, "--loads", "1,4", "--requests", "4", "--latency", "5", "--png", str(png))
    assert result.exit_code == 0 and result.stderr == ""
    assert "The organization asked nothing of it in 30 days." in result.stdout
    assert "prompts of 299 and answers of 149 tokens on average" in result.stdout
    assert "(99 of 100 within 5 s of the whole answer)." in result.stdout
    assert "tokens/s" in result.stdout and "p99 of the whole answer" in result.stdout
    assert png.stat().st_size > 5000
    assert set(served.loads) == {(4, False)}, "for the time, nothing spilled over"
    [(load, spills)] = read(home, sizes)
    assert spills and f"Recommended load: {load}" in result.stdout
    kept = read(home, kept_by)
    assert kept is not None and [level.load for level in kept.levels] == [1, 4] and kept.engine == "llama"
    assert read(home, revoked) == [True, True]
    assert len(set(api.keys)) == 2


async def kept_by(house: House) -> Any:
    async with house.database.connect() as connection:
        return await connection.run_sync(measurements.latest, house.organization_id, CHAT)


def test_without_a_latency_nothing_is_recommended(
    home: Path, runner: CliRunner, api: Api, served: Served
) -> None:
    result = tune(runner, api, "--loads", "1", "--requests", "1", "--json")
    found = json.loads(result.stdout)
    assert (found["objective"], found["recommended"], found["load"]) == (None, None, 2)
    assert found["mix"]["source"] == "default" and found["interrupted"] is False
    assert read(home, sizes) == [(2, True)] and result.exit_code == 0


def test_what_is_recommended_is_not_always_applied(
    home: Path, runner: CliRunner, api: Api, served: Served
) -> None:
    words = ("--loads", "1,8", "--requests", "1", "--latency", "9", "--of", "first-token", "--no-apply")
    result = tune(runner, api, *words)
    assert "Recommended load:" in result.stdout and "first token" in result.stdout
    assert "The instance has its load of 2, as before." in result.stdout
    assert read(home, sizes) == [(2, True)]


def test_if_no_load_keeps_it_that_is_said(home: Path, runner: CliRunner, api: Api, served: Served) -> None:
    result = tune(runner, api, "--loads", "1", "--requests", "1", "--latency", "0.001")
    assert result.exit_code == ExitCode.FAILED
    assert "No load keeps 99 of 100 within 0.001 s of the whole answer." in result.stdout
    assert read(home, sizes) == [(2, True)]


def test_the_usual_loads_go_as_far_as_the_engine(
    home: Path, runner: CliRunner, api: Api, served: Served
) -> None:
    found = json.loads(tune(runner, api, "--requests", "1", "--json").stdout)
    loads = [level["load"] for level in found["levels"]]
    assert loads[:2] == [1, 2] and loads == sorted(set(loads))


def test_a_request_that_fails_ends_it_and_changes_nothing(
    home: Path, runner: CliRunner, api: Api, served: Served
) -> None:
    served.status = 500
    assert failure(tune(runner, api, "--loads", "8", "--latency", "1")).message == "as asked"
    assert read(home, sizes) == [(2, True)] and read(home, revoked) == [True, True]


def test_a_server_that_does_not_run_it(home: Path, runner: CliRunner, api: Api, served: Served) -> None:
    refusals = (
        lambda exchange: exchange.answer(200, b"", "text/plain"),
        lambda exchange: exchange.error(401, "no such key"),
    )
    for refusal in refusals:
        api.answer = refusal
        problem = failure(tune(runner, api))
        assert "does not run this instance" in problem.message and problem.exit_code is ExitCode.REFUSED
    assert read(home, revoked) == [True] * 4 and read(home, sizes) == [(2, True)]


def test_nobody_answers(home: Path, runner: CliRunner) -> None:
    result = runner.invoke(app, ["dedicated", "tune", ID, "--base-url", "http://127.0.0.1:9/v1"])
    assert failure(result).exit_code is ExitCode.UNREACHABLE and read(home, revoked) == [True, True]


@pytest.mark.parametrize(
    ("id", "changes", "text"),
    [
        ("dedicated_2", {"ends_at": 1}, "does not run now"),
        ("dedicated_2", {"begins_at": 2**33}, "does not run now"),
        ("dedicated_2", {"snapshot": SPEECH, "context": 0}, "is not for chat"),
        ("dedicated_2", {"snapshot": "gone-2020-01-01"}, "does not run now"),
        (ID, {}, "another instance of smollm2"),
    ],
)
def test_what_cannot_be_measured(
    home: Path, runner: CliRunner, api: Api, served: Served, id: str, changes: dict[str, Any], text: str
) -> None:
    sell(home, id="dedicated_2", **changes)
    problem = failure(tune(runner, api, id=id))
    assert text in problem.message and problem.exit_code is ExitCode.REFUSED
    assert not api.paths


def test_an_instance_that_is_not_there(home: Path, runner: CliRunner, api: Api) -> None:
    assert isinstance(tune(runner, api, id="dedicated_9").exception, NotFound)


def test_a_load_beyond_what_the_model_may_have(
    home: Path, runner: CliRunner, api: Api, served: Served
) -> None:
    text = f'[snapshots."{CHAT}".dedicated]\nprice_per_hour = "1"\nload = 4\n'
    (home / "models.toml").write_text(text)
    assert isinstance(tune(runner, api, "--loads", "1,8").exception, InvalidRequest)
    assert read(home, sizes) == [(2, True)] and read(home, revoked) == [True, True]
    found = json.loads(tune(runner, api, "--requests", "1", "--json").stdout)
    assert [level["load"] for level in found["levels"]] == [1, 2, 4]


def test_what_somebody_else_changes_meanwhile_stays(
    home: Path, runner: CliRunner, api: Api, served: Served
) -> None:
    async def change(house: House) -> None:
        await house.dedicated.update(house.organization_id, ID, Change(load=7), by=None)

    served.meanwhile = lambda: read(home, change)
    done = tune(runner, api, "--loads", "8", "--requests", "1", "--json")
    assert json.loads(done.stdout)["load"] == 7
    assert read(home, sizes) == [(7, True)], "but its requests spill over again"


def test_one_that_ends_meanwhile_has_ended(home: Path, runner: CliRunner, api: Api, served: Served) -> None:
    async def end(house: House) -> None:
        await house.dedicated.end(house.organization_id, ID, by=None)

    served.meanwhile = lambda: read(home, end)
    assert tune(runner, api, "--loads", "8", "--requests", "1").exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_whoever_ends_it_the_instance_has_its_own_back(
    home: Path, runner: CliRunner, api: Api, served: Served, number: signal.Signals
) -> None:
    before = signal.signal(number, lambda *_: None)  # for a command that does not listen
    try:
        # Once: a signal that came when the command is over would end the tests.
        served.meanwhile = lambda: os.kill(os.getpid(), number)
        done = tune(runner, api, "--loads", "8", "--requests", "1", "--json")
    finally:
        signal.signal(number, before)
    assert done.exit_code == ExitCode.INTERRUPTED and json.loads(done.stdout)["interrupted"]
    assert read(home, sizes) == [(2, True)] and read(home, revoked) == [True, True]


def test_an_instance_is_measured_by_one_at_a_time(
    home: Path, runner: CliRunner, api: Api, served: Served
) -> None:
    with tuning._alone(home, ID):
        problem = failure(tune(runner, api))
    assert "is being measured" in problem.message and problem.exit_code is ExitCode.REFUSED
    assert not api.paths and read(home, sizes) == [(2, True)]


@pytest.mark.parametrize("text", ["x", "0", "257", "1,", "-1", "1.5", "9" * 20, "²"])
def test_what_are_no_loads(text: str) -> None:
    with pytest.raises(CommandFailed, match="are no loads") as refusal:
        parsed_loads(text)
    assert refusal.value.exit_code is ExitCode.USAGE


def test_loads_are_measured_once_and_in_order() -> None:
    assert parsed_loads("8, 1,8,2") == (1, 2, 8) and parsed_loads("") == ()


def test_a_picture_that_cannot_be_written_is_noticed_first(
    home: Path, runner: CliRunner, api: Api, tmp_path: Path
) -> None:
    problem = failure(tune(runner, api, "--png", str(tmp_path / "nowhere" / "x.png")))
    assert "cannot be written" in problem.message and not api.paths
