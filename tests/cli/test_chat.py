from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from antiphon.cli.chat import Conversation, converse
from antiphon.cli.client import Client
from antiphon.cli.main import app
from antiphon.cli.output import CommandFailed, ExitCode
from fake_api import Api, Exchange, sse

DEADLINE = 30.0


def failure(result: object) -> CommandFailed:
    problem = result.exception  # type: ignore[attr-defined]
    assert isinstance(problem, CommandFailed), result
    return problem


def test_one_shot_prints_the_answer_and_sends_the_options(api: Api, runner: CliRunner) -> None:
    api.streams("Hel", "lo", {"choices": [], "usage": {"total_tokens": 3}})
    options = ["--system", "Be kind.", "--temperature", "0", "--max-tokens", "7", "--model", "m"]
    result = runner.invoke(app, ["chat", "Hi", "--base-url", api.url, "--key", "sk-1", *options])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "Hello\n", "")
    assert api.paths == ["/v1/chat/completions"] and api.keys == ["Bearer sk-1"]
    assert api.bodies == [
        {
            "model": "m",
            "temperature": 0.0,
            "max_tokens": 7,
            "stream": True,
            "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
        }
    ]


def test_what_a_pipe_brings_is_asked(api: Api, runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_API_KEY", "sk-2")
    monkeypatch.setenv("ANTIPHON_PORT", str(api.server.server_port))
    api.streams("Yes")
    result = runner.invoke(app, ["chat"], input="Two\nlines?\n")
    assert (result.exit_code, result.stdout) == (0, "Yes\n")
    assert api.keys == ["Bearer sk-2"]
    assert api.bodies[0]["messages"] == [{"role": "user", "content": "Two\nlines?\n"}]
    assert set(api.bodies[0]) == {"model", "messages", "stream"}


def test_an_empty_pipe_is_wrong_usage(api: Api, runner: CliRunner) -> None:
    result = runner.invoke(app, ["chat", "--base-url", api.url, "--key", "k"], input=" \n")
    assert failure(result).exit_code == ExitCode.USAGE and not api.paths


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, 5), (403, 5), (404, 5), (429, 5), (400, 5), (307, 5), (503, 5), (500, 1)],
)
def test_a_refusal_carries_the_servers_message(api: Api, runner: CliRunner, status: int, code: int) -> None:
    api.answer = lambda exchange: exchange.error(status, "No, not now.", Location="/elsewhere")
    result = runner.invoke(app, ["chat", "Hi", "--base-url", api.url, "--key", "k"])
    problem = failure(result)
    assert (problem.message, problem.exit_code, result.stdout) == ("No, not now.", code, "")
    assert ("keys create" in problem.fix) == (status == 401)
    assert len(api.paths) == 1, "a redirect is not followed"


def test_a_refusal_says_how_long_to_wait(api: Api, runner: CliRunner) -> None:
    api.answer = lambda exchange: exchange.error(429, "Slowly.", **{"Retry-After": "7"})
    result = runner.invoke(app, ["chat", "Hi", "--base-url", api.url, "--key", "k"])
    assert failure(result).fix == "try again in 7 s"


def test_an_answer_that_is_no_envelope(api: Api, runner: CliRunner) -> None:
    api.answer = lambda exchange: exchange.answer(502, b"<html>Bad gateway</html>", "text/html")
    problem = failure(runner.invoke(app, ["chat", "Hi", "--base-url", api.url, "--key", "k"]))
    assert problem.message == "the server answered with HTTP status 502"


def test_an_error_in_mid_stream_is_a_failure(api: Api, runner: CliRunner) -> None:
    api.streams(
        "Once upon", {"error": {"message": "The engine broke off.", "type": "server_error"}}, done=False
    )
    result = runner.invoke(app, ["chat", "Hi", "--base-url", api.url, "--key", "k"])
    problem = failure(result)
    assert (problem.message, problem.exit_code) == ("The engine broke off.", 1)
    assert result.stdout == "Once upon\n"


@pytest.mark.parametrize("frames", [("Once",), ()])
def test_a_stream_without_its_end_is_a_failure(api: Api, runner: CliRunner, frames: tuple[str, ...]) -> None:
    api.streams(*frames, done=False)
    problem = failure(runner.invoke(app, ["chat", "Hi", "--base-url", api.url, "--key", "k"]))
    assert (problem.message, problem.exit_code) == ("the server broke off before the end of the answer", 1)


def test_a_frame_that_is_not_ours_is_a_failure(api: Api, runner: CliRunner) -> None:
    api.streams({"choices": "none"})
    problem = failure(runner.invoke(app, ["chat", "Hi", "--base-url", api.url, "--key", "k"]))
    assert problem.message == "the server sent something that is not a chat answer"


def test_a_frame_without_end_is_a_failure(api: Api, runner: CliRunner) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.stream()
        exchange.send(b"data: " + b"x" * (4 << 20))

    api.answer = answer
    problem = failure(runner.invoke(app, ["chat", "Hi", "--base-url", api.url, "--key", "k"]))
    assert problem.message == "the server sent a line without an end"


def test_nobody_answers(runner: CliRunner) -> None:
    problem = failure(runner.invoke(app, ["chat", "Hi", "--base-url", "http://127.0.0.1:9/v1", "--key", "k"]))
    assert problem.exit_code == ExitCode.UNREACHABLE and "antiphon serve" in problem.fix


def test_a_wrong_address(runner: CliRunner) -> None:
    problem = failure(runner.invoke(app, ["chat", "Hi", "--base-url", "nowhere", "--key", "k"]))
    assert problem.exit_code == ExitCode.USAGE


def test_a_conversation_remembers_and_resets(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    conversation = Conversation(Client(api.url, "k"), {"model": "m"}, "Be kind.")
    system, question = {"role": "system", "content": "Be kind."}, {"role": "user", "content": "One"}
    lines = iter(["One", "", "Two", "/reset", "/help", "Three", "/exit", "never read"])
    api.streams("Fine")
    converse(conversation, lambda prompt: next(lines))
    asked = [body["messages"] for body in api.bodies]
    assert asked[0] == [system, question]
    assert asked[1] == [
        system,
        question,
        {"role": "assistant", "content": "Fine"},
        {"role": "user", "content": "Two"},
    ]
    assert asked[2] == [system, {"role": "user", "content": "Three"}]
    assert next(lines) == "never read"
    assert capsys.readouterr().out == "Fine\n" * 3


def test_a_failed_question_is_reported_and_forgotten(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    conversation = Conversation(Client(api.url, "k"), {}, None)
    api.streams("Half", {"error": {"message": "Broken."}})

    def read(prompt: str) -> str:
        if api.bodies:
            raise EOFError
        return "One"

    converse(conversation, read)
    assert "antiphon: Broken.\n" in capsys.readouterr().err
    assert conversation.messages == []


def test_control_c_stops_an_answer_and_keeps_what_was_said(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = Conversation(Client(api.url, "k"), {}, None)
    api.streams("Once", "upon")
    original = Conversation._stream

    async def interrupted(self: Conversation, messages: list[dict[str, str]], pieces: list[str]) -> None:
        await original(self, messages, pieces)
        raise KeyboardInterrupt

    monkeypatch.setattr(Conversation, "_stream", interrupted)
    lines = iter(["Tell", "/exit"])
    converse(conversation, lambda prompt: next(lines))
    assert conversation.messages[-1] == {"role": "assistant", "content": "Onceupon"}
    assert "(stopped)" in capsys.readouterr().err


def test_an_interrupted_command_ends_with_130_and_hangs_up(api: Api, tmp_path: Path) -> None:
    hung_up = threading.Event()

    def answer(exchange: Exchange) -> None:
        exchange.body()
        exchange.stream()
        exchange.send(sse("Once"))
        try:
            for _ in range(3000):
                exchange.send(b": still here\n\n")
                time.sleep(0.01)
        except ConnectionError:
            hung_up.set()

    api.answer = answer
    command = [sys.executable, "-m", "antiphon", "chat", "Hi", "--base-url", api.url, "--key", "k"]
    # A shell lets what it runs in the background ignore the signal, and so would the command inherit it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        signal.signal(signal.SIGINT, before)
        assert process.stdout is not None and process.stdout.read(4) == b"Once"
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == ExitCode.INTERRUPTED
        assert hung_up.wait(DEADLINE)


def test_in_a_terminal_it_is_a_conversation_without_control_characters(api: Api, tmp_path: Path) -> None:
    api.streams("\x1b]0;owned\x07", "Good day")
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "antiphon", "chat", "--base-url", api.url, "--key", "k"]
    environment = {**os.environ, "ANTIPHON_HOME": str(tmp_path), "TERM": "dumb"}
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        try:
            assert b"/exit" in read_until(master, b"> ")
            os.write(master, b"Hi\n")
            shown = read_until(master, b"Good day")
            assert b"]0;ownedGood day" in shown and b"\x1b]0;" not in shown
            os.write(master, b"/exit\n")
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()
            os.close(master)
    assert api.bodies[0]["messages"] == [{"role": "user", "content": "Hi"}]


def read_until(descriptor: int, wanted: bytes) -> bytes:
    seen = b""
    end = time.monotonic() + DEADLINE
    while wanted not in seen:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"{wanted!r} did not come; seen {seen!r}"
        seen += os.read(descriptor, 4096)
    return seen
