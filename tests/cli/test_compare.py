"""`antiphon models compare` against the API with scripted engines, and against a server that misbehaves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from antiphon.cli.main import app
from antiphon.cli.output import CommandFailed, ExitCode
from antiphon.errors import ConfigurationError, EngineFailed
from antiphon.values import ChatJob, Delta, Usage
from fake_api import Api, Exchange, sse
from service import CHAT, KEY, ScriptedEngine, Service, serving

DEADLINE = 60.0
ALIAS = "gpt-3.5-turbo"
STAND_IN = "gpt-3.5-turbo-0613"
SIDES = ("a", "b")


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.txt"
    path.write_text("Say one\nSay two\nSay three\n")
    return path


def invoke(runner: CliRunner, url: str, *arguments: str | Path, key: str = KEY) -> Result:
    options = ["--base-url", url, "--key", key]
    return runner.invoke(app, ["models", "compare", *map(str, arguments), *options])


async def compared(service: Service, runner: CliRunner, *arguments: str | Path, key: str = KEY) -> Result:
    url = f"http://127.0.0.1:{service.port}/v1"
    return await asyncio.to_thread(invoke, runner, url, *arguments, key=key)


def failure(result: Result) -> CommandFailed:
    assert isinstance(result.exception, CommandFailed), result.output
    return result.exception


async def echo(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
    """The last word of the prompt; of the stand-in, another word to the second, and no whole third."""
    word = job.messages[-1].content.split()[-1]
    if job.model == STAND_IN and word == "two":
        word = "zwei"
    yield Delta(0, f"It is {word}", completion_tokens=3)
    if job.model == STAND_IN and word == "three":
        raise EngineFailed("The engine broke off.")
    yield Delta(0, ".", (), "length" if word == "one" else "stop", 4)
    yield Usage(prompt_tokens=2, completion_tokens=4)


async def test_two_names_of_one_snapshot_answer_alike(
    tmp_path: Path, runner: CliRunner, prompts: Path
) -> None:
    async with serving(tmp_path, ScriptedEngine(echo)) as service:
        result = await compared(service, runner, ALIAS, CHAT, "--prompts", prompts, "--max-tokens", "9")
        jobs = service.engine.jobs
        paid = await service.books.requests(6)
    assert result.exit_code == 0 and result.stderr == ""
    assert "Identical answers: 3, 100 %." in result.stdout and result.stdout.count(CHAT) == 3
    assert sorted(job.model for job in jobs) == [ALIAS] * 3 + [CHAT] * 3
    assert {(job.temperature, job.seed, job.max_tokens) for job in jobs} == {(0.0, 1, 9)}
    # 6 tokens for each of 3 requests of each side, at $0.002 for 1,000.
    assert result.stdout.count("$0.000036") == 2 and sum(row.cost for row in paid) == 2 * 36_000


async def test_the_report_has_everything(tmp_path: Path, runner: CliRunner, prompts: Path) -> None:
    out = tmp_path / "report.json"
    arguments = [ALIAS, STAND_IN, "--prompts", prompts, "--json", "--out", out, "--concurrency", "1"]
    async with serving(tmp_path, ScriptedEngine(echo)) as service:
        result = await compared(service, runner, *arguments)
    assert (result.exit_code, result.stderr) == (1, "")
    summary, report = json.loads(result.stdout), json.loads(out.read_text())
    assert report["summary"] == summary and out.stat().st_mode & 0o777 == 0o600
    assert (summary["prompts"], summary["compared"], summary["identical"]) == (3, 2, 1)
    assert (summary["identical_share"], summary["interrupted"]) == (0.5, False)
    assert [summary[side]["model"] for side in SIDES] == [ALIAS, STAND_IN]
    assert [summary[side]["snapshot"] for side in SIDES] == [CHAT, CHAT]
    assert [(summary[side]["answered"], summary[side]["failed"]) for side in SIDES] == [(3, 0), (2, 1)]
    assert summary["b"]["finish_reasons"] == {"length": 1, "stop": 1}
    [error] = summary["b"]["failures"]
    rows = {row["prompt"]["id"]: row for row in report["prompts"]}
    assert list(rows) == ["line 1", "line 2", "line 3"]
    assert [rows["line 2"][side]["text"] for side in SIDES] == ["It is two.", "It is zwei."]
    assert rows["line 2"]["identical"] is False and rows["line 2"]["similarity"] == pytest.approx(0.75)
    assert rows["line 3"]["b"] == {"error": error} and rows["line 3"]["similarity"] is None
    assert rows["line 1"]["prompt"]["body"]["messages"] == [{"role": "user", "content": "Say one"}]


async def test_a_project_at_its_rate_is_waited_for(tmp_path: Path, runner: CliRunner, prompts: Path) -> None:
    async with serving(tmp_path, requests_per_minute=120) as service:
        while (await service.chat())[0] != 429:
            pass
        result = await compared(service, runner, ALIAS, CHAT, "--prompts", prompts)
    assert result.exit_code == 0 and "3 of 3 prompts" in result.stdout


async def test_a_name_that_is_not_served(tmp_path: Path, runner: CliRunner, prompts: Path) -> None:
    async with serving(tmp_path) as service:
        problem = failure(await compared(service, runner, ALIAS, "gpt-5", "--prompts", prompts))
        assert not service.engine.jobs
    assert problem.message == "the server has no model 'gpt-5'" and ALIAS in problem.fix
    assert problem.exit_code == ExitCode.REFUSED


async def test_another_key_is_refused_at_once(tmp_path: Path, runner: CliRunner, prompts: Path) -> None:
    async with serving(tmp_path) as service:
        problem = failure(await compared(service, runner, ALIAS, CHAT, "--prompts", prompts, key="sk-x"))
    assert problem.exit_code == ExitCode.REFUSED and "antiphon keys create" in problem.fix


def test_nobody_answers(runner: CliRunner, prompts: Path) -> None:
    problem = failure(invoke(runner, "http://127.0.0.1:9/v1", "a", "b", "--prompts", prompts))
    assert problem.exit_code == ExitCode.UNREACHABLE


def test_a_key_is_needed(api: Api, runner: CliRunner, prompts: Path) -> None:
    arguments = ["models", "compare", "a", "b", "--prompts", str(prompts), "--base-url", api.url]
    assert isinstance(runner.invoke(app, arguments).exception, ConfigurationError) and not api.paths


@pytest.mark.parametrize(
    "options",
    [
        ["--prompts", "/no/such/file"],
        ["--prompts", "FILE", "--concurrency", "0"],
        ["--prompts", "FILE", "--out", "."],
    ],
)
def test_wrong_usage(api: Api, runner: CliRunner, prompts: Path, options: list[str]) -> None:
    arguments = [str(prompts) if option == "FILE" else option for option in options]
    assert invoke(runner, api.url, "a", "b", *arguments).exit_code == ExitCode.USAGE
    assert not api.paths


def test_it_must_be_said_what_to_ask(api: Api, runner: CliRunner) -> None:
    problem = failure(invoke(runner, api.url, "a", "b"))
    assert problem.exit_code == ExitCode.USAGE and problem.fix == "give --prompts or --recent"
    assert not api.paths


def test_a_bad_line_is_refused_before_anything_is_sent(api: Api, runner: CliRunner, tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "Hi"}]}\n{"messages": 5}\n')
    problem = failure(invoke(runner, api.url, "a", "b", "--prompts", path))
    assert problem.message.startswith(f"{path}, line 2: ") and problem.exit_code == ExitCode.USAGE
    assert not api.paths


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_sent(
    api: Api, runner: CliRunner, prompts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "nowhere" / "report.json"
    problem = failure(invoke(runner, api.url, "a", "b", "--prompts", prompts, "--out", out))
    assert problem.message == f"{out} cannot be written: No such file or directory" and not api.paths


LISTED = {
    "object": "list",
    "data": [{"id": name, "object": "model", "created": 1, "owned_by": "x"} for name in ("a", "b")],
}


def scripted(api: Api, *frames: Any, held: bool = False) -> None:
    """List two models that no catalogue knows; `held` answers have no end, but for the first."""

    def answer(exchange: Exchange) -> None:
        if exchange.path == "/v1/models":
            return exchange.answer(200, json.dumps(LISTED).encode())
        api.bodies.append(json.loads(exchange.body()))
        exchange.stream()
        if held and len(api.bodies) > 1:
            while True:  # until the connection is gone
                exchange.send(sse("…"))
                time.sleep(0.01)
        for frame in frames:
            exchange.send(sse(frame))
        exchange.send(b"data: [DONE]\n\n")

    api.answer = answer


END = (
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}},
)


def test_without_prices_there_are_no_costs(api: Api, runner: CliRunner, prompts: Path) -> None:
    scripted(api, "Hello", *END)
    result = invoke(runner, api.url, "a", "b", "--prompts", prompts, "--json")
    summary = json.loads(result.stdout)
    assert [summary[side]["cost"] for side in SIDES] == [None, None]
    assert "catalogue" in summary["a"]["cost_unknown"] and summary["identical_share"] == 1.0


@pytest.mark.parametrize("content", [b"{}", b"<html>"])
def test_a_list_of_models_that_is_none(api: Api, runner: CliRunner, prompts: Path, content: bytes) -> None:
    api.answer = lambda exchange: exchange.answer(200, content)
    problem = failure(invoke(runner, api.url, "a", "b", "--prompts", prompts))
    assert problem.message == "the server sent something that is not a list of models"


def test_control_c_shows_what_was_measured(api: Api, tmp_path: Path, prompts: Path) -> None:
    scripted(api, "Hello", *END, held=True)
    out = tmp_path / "report.json"
    command = [sys.executable, "-m", "antiphon", "models", "compare", "a", "b", "--prompts", str(prompts)]
    command += ["--base-url", api.url, "--key", "k", "--concurrency", "1", "--out", str(out), "--json"]
    environment = {**os.environ, "ANTIPHON_HOME": str(tmp_path / "home")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            while len(api.bodies) < 2:
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            told, complaint = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert process.returncode == ExitCode.INTERRUPTED
    assert complaint == "antiphon: interrupted: this is what was measured so far.\n"
    summary = json.loads(told)
    assert summary["interrupted"] is True
    assert (summary["a"]["answered"], summary["b"]["answered"], summary["compared"]) == (1, 0, 0)
    [row] = json.loads(out.read_text())["prompts"]
    assert row["a"]["text"] == "Hello" and row["b"] is None
