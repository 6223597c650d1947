"""`antiphon transcribe`: what it asks for, what it writes and shows, and how it fails."""

from __future__ import annotations

import io
import json
import re
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from antiphon.cli import transcribe
from antiphon.cli.client import Client
from antiphon.cli.main import app
from antiphon.cli.output import CommandFailed, ExitCode
from fake_api import Api, Exchange, sse, transcript

MIB = 1 << 20


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "größe.mp3"
    path.write_bytes(b"ID3" + b"\0" * (2 * MIB))
    return path


def form(exchange: Exchange) -> list[tuple[str, str | None, bytes]]:
    """The parts of a multipart body: name, file name, content."""
    head = f"Content-Type: {exchange.headers['Content-Type']}\r\n\r\n".encode()
    parts = BytesParser().parsebytes(head + exchange.body()).get_payload()
    found = []
    for part in parts:
        assert isinstance(part, Message)
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found.append(
            (str(part.get_param("name", header="content-disposition")), part.get_filename(), content)
        )
    return found


def says(api: Api, *texts: str, words: bool = False) -> None:
    streams(api, *transcript(*texts, words=words))


def streams(api: Api, *events: Any, done: bool = True) -> None:
    """Answer every recording with these events."""

    def answer(exchange: Exchange) -> None:
        api.bodies.append(form(exchange))
        stream(exchange, *events, done=done)

    api.answer = answer


def stream(exchange: Exchange, *events: Any, done: bool = True) -> None:
    exchange.stream(**{"antiphon-audio-seconds": "4.000"})
    for event in events:
        exchange.send(event if isinstance(event, bytes) else sse(event))
    if done:
        exchange.send(b"data: [DONE]\n\n")


def run(runner: CliRunner, api: Api, *arguments: str | Path) -> object:
    common = ["--base-url", api.url, "--key", "sk-1"]
    return runner.invoke(app, ["transcribe", *map(str, arguments), *common])


def test_the_transcript_alone_goes_to_stdout(api: Api, runner: CliRunner, recording: Path) -> None:
    says(api, "Ask not.")
    result = run(runner, api, recording)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "Ask not.\n", "")
    assert (api.paths, api.keys) == (["/v1/audio/transcriptions"], ["Bearer sk-1"])
    fields = {name: content for name, _, content in api.bodies[0]}
    assert fields == {
        "model": b"whisper-1",
        "response_format": b"verbose_json",
        "stream": b"true",
        "file": recording.read_bytes(),
    }
    assert len(api.bodies[0]) == 4


def test_every_option_reaches_the_server(api: Api, runner: CliRunner, recording: Path) -> None:
    says(api, "Grüße.", words=True)
    options = ["--format", "verbose_json", "--words", "--language", "de", "--prompt", "Grüße", "--model", "m"]
    result = run(runner, api, recording, *options)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["words"] == [{"word": "Grüße.", "start": 0.0, "end": 2.0}]
    fields = [(name, content.decode()) for name, _, content in api.bodies[0] if name != "file"]
    assert fields == [
        ("model", "m"),
        ("language", "de"),
        ("prompt", "Grüße"),
        ("timestamp_granularities[]", "segment"),
        ("timestamp_granularities[]", "word"),
        ("response_format", "verbose_json"),
        ("stream", "true"),
    ]


def test_translate_asks_the_other_route(api: Api, runner: CliRunner, recording: Path) -> None:
    says(api, "Hello.")
    assert run(runner, api, recording, "--translate").stdout == "Hello.\n"
    result = run(runner, api, recording, "--translate", "--format", "verbose_json")
    assert json.loads(result.stdout)["task"] == "translate"
    assert api.paths == ["/v1/audio/translations"] * 2


@pytest.mark.parametrize(
    "options",
    [
        ["--words"],
        ["--words", "--format", "srt"],
        ["--words", "--translate", "--format", "verbose_json"],
        ["--translate", "--language", "de"],
        ["--format", "docx"],
        ["/no/such/file.mp3"],
    ],
)
def test_wrong_usage_is_refused_before_anything_is_sent(
    api: Api, runner: CliRunner, recording: Path, options: list[str]
) -> None:
    assert run(runner, api, recording, *options).exit_code == ExitCode.USAGE
    assert api.paths == []


@pytest.mark.parametrize(
    ("kind", "name", "written"),
    [
        ("json", "größe.json", '{"text":"Größe","usage":{"type":"duration","seconds":2}}\n'),
        ("text", "größe.txt", "Größe\n"),
        ("srt", "größe.srt", "1\n00:00:00,000 --> 00:00:02,000\nGröße\n\n"),
        ("vtt", "größe.vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nGröße\n\n"),
    ],
)
def test_a_folder_gets_a_file_for_each_format(
    api: Api, runner: CliRunner, recording: Path, tmp_path: Path, kind: str, name: str, written: str
) -> None:
    says(api, "Größe")
    folder = tmp_path / "new" / "folder"
    result = run(runner, api, recording, "--format", kind, "--output", folder)
    assert (result.exit_code, result.stdout) == (0, "")
    assert {path.name: path.read_text("utf-8") for path in folder.iterdir()} == {name: written}


def test_everything_that_is_known_goes_into_verbose_json(
    api: Api, runner: CliRunner, recording: Path
) -> None:
    says(api, "Ask", "not.")
    result = run(runner, api, recording, "--format", "verbose_json")
    *segments, done = transcript("Ask", "not.")
    for event in (*segments, done):
        event.pop("type")
    assert json.loads(result.stdout) == {"task": "transcribe", **done, "segments": segments[1::2]}


def test_silence_is_an_empty_transcript(api: Api, runner: CliRunner, recording: Path) -> None:
    says(api)
    assert run(runner, api, recording).stdout == "\n"


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([*transcript("Ask")[:-1], {"error": {"message": "Engine broke."}}], "Engine broke."),
        ([{"error": {"message": None}}], "the server broke off the transcript"),
        (transcript("Ask")[:-1], "the server broke off before the end of the transcript"),
        (["not a transcript"], "the server broke off before the end of the transcript"),
        ([b"data: {]\n\n"], "the server sent something that is not a transcript"),
        (
            [{"type": "transcript.text.segment", "id": 0}],
            "the server sent something that is not a transcript",
        ),
        (
            [{"type": "transcript.text.done", "text": "", "usage": {"type": "duration", "seconds": 1}}],
            "the server sent a transcript without its language or length",
        ),
    ],
)
def test_a_transcript_that_is_not_whole_is_none(
    api: Api, runner: CliRunner, recording: Path, events: list[Any], said: str
) -> None:
    streams(api, *events)
    result = run(runner, api, recording)
    problem = result.exception
    assert isinstance(problem, CommandFailed) and problem.message == f"{recording}: {said}"
    assert result.stdout == ""


@pytest.mark.parametrize("events", [transcript("Ask"), []])
def test_a_stream_without_its_mark_is_not_whole(
    api: Api, runner: CliRunner, recording: Path, events: list[Any]
) -> None:
    streams(api, *events, done=False)
    result = run(runner, api, recording)
    assert isinstance(result.exception, CommandFailed) and result.stdout == ""
    assert "broke off before the end" in result.exception.message


def test_two_files_never_share_a_transcript(api: Api, runner: CliRunner, tmp_path: Path) -> None:
    for name in ("a.mp3", "a.wav"):
        (tmp_path / name).write_bytes(b"x")
    result = run(runner, api, tmp_path / "a.mp3", tmp_path / "a.wav", "--output", tmp_path)
    assert result.exit_code == ExitCode.USAGE and api.paths == []


def test_one_failed_file_does_not_stop_the_others(api: Api, runner: CliRunner, tmp_path: Path) -> None:
    files = [tmp_path / f"{n}.wav" for n in range(3)]
    for file in files:
        file.write_bytes(file.name.encode())

    def answer(exchange: Exchange) -> None:
        content = form(exchange)[-1][2]
        if content == b"1.wav":
            exchange.error(400, "Not a recording.")
        else:
            stream(exchange, *transcript(content.decode()))

    api.answer = answer
    result = run(runner, api, *files)
    assert result.stdout == "0.wav\n2.wav\n"
    assert f"antiphon: {files[1]}: Not a recording.\n" in result.stderr
    problem = result.exception
    assert isinstance(problem, CommandFailed)
    assert (problem.exit_code, problem.message) == (1, f"1 of 3 files failed: {files[1]}")


def test_a_single_refused_file_keeps_the_servers_reason(api: Api, runner: CliRunner, recording: Path) -> None:
    def answer(exchange: Exchange) -> None:
        # Before the body is read: the answer must be seen in the middle of the upload.
        exchange.error(413, "Maximum content size limit exceeded.")
        exchange.body()

    api.answer = answer
    problem = run(runner, api, recording).exception
    assert isinstance(problem, CommandFailed)
    assert problem.message == f"{recording}: Maximum content size limit exceeded."
    assert problem.exit_code == ExitCode.REFUSED


def test_without_a_server_the_first_file_ends_it(runner: CliRunner, recording: Path, api: Api) -> None:
    dead = ["--base-url", "http://127.0.0.1:9/v1", "--key", "k"]
    result = runner.invoke(app, ["transcribe", str(recording), *dead])
    assert isinstance(result.exception, CommandFailed)
    assert result.exception.exit_code == ExitCode.UNREACHABLE


def test_a_folder_that_cannot_be_written(
    api: Api, runner: CliRunner, recording: Path, tmp_path: Path
) -> None:
    says(api, "Hello")
    (tmp_path / "file").write_text("")
    problem = run(runner, api, recording, "--output", tmp_path / "file" / "folder").exception
    assert isinstance(problem, CommandFailed) and "cannot be written" in problem.message


async def test_progress_follows_the_upload_and_then_the_sound(api: Api, recording: Path) -> None:
    says(api, "Ask", "not.")
    sent: list[int] = []
    heard: list[tuple[float, float | None]] = []
    client = Client(api.url, "k")
    found = await client.transcribe(
        recording,
        [("model", "m")],
        translate=False,
        sent=sent.append,
        heard=lambda seconds, total: heard.append((seconds, total)),
    )
    assert found.written("text") == "Ask not.\n"
    assert sent == sorted(sent) and sent[-1] == 3 + 2 * MIB and len(sent) > 2
    assert heard == sorted(heard) and list(dict.fromkeys(heard)) == [(0, 4.0), (2, 4.0), (4, 4.0)]


@pytest.mark.parametrize(
    "header", [{}, {"antiphon-audio-seconds": "soon"}, {"antiphon-audio-seconds": "inf"}]
)
async def test_a_length_that_is_not_told_is_not_made_up(
    api: Api, recording: Path, header: dict[str, str]
) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.body()
        exchange.stream(**header)
        for event in transcript("Ask"):
            exchange.send(sse(event))
        exchange.send(b"data: [DONE]\n\n")

    api.answer = answer
    totals: list[float | None] = []
    client = Client(api.url, "k")
    await client.transcribe(
        recording, [], translate=False, sent=lambda _: None, heard=lambda _, total: totals.append(total)
    )
    assert set(totals) == {None}


def test_the_bar_on_stderr_shows_bytes_and_then_seconds_of_sound(
    recording: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(
        transcribe, "err_console", lambda: Console(file=screen, force_terminal=True, width=100)
    )

    def shown() -> str:
        bar._progress.refresh()
        lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()).replace("\r", "\n")
        screen.truncate(0)
        return lines.strip().splitlines()[-1]

    def drawn() -> float | None:
        """How much of the bar is full, in hundredths; None if it pulses."""
        task = bar._progress.tasks[0]
        return None if task.total is None else round(task.percentage)

    with transcribe._shown(recording) as bar:
        bar.sent(MIB)
        assert "größe.mp3 uploading" in (line := shown()) and "1.0/2.1 MB" in line and drawn() == 50
        print("the transcript")
        bar.sent(3 + 2 * MIB)
        assert "größe.mp3 waiting" in (line := shown()) and "2.1 MB" in line and drawn() is None
        bar.heard(0, 4000.0)
        assert "größe.mp3 transcribing" in (line := shown()) and "0:00/1:06:40" in line and drawn() == 0
        bar.heard(1000, 4000.0)
        assert "16:40/1:06:40" in shown() and drawn() == 25
        bar.heard(4000.2, 4000.0)
        assert "1:06:40/1:06:40" in shown() and drawn() == 100
        bar.heard(5, None)
        assert "0:05" in shown() and drawn() is None
    assert capsys.readouterr().out == "the transcript\n"
