from __future__ import annotations

import io
import json
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from antiphon.cli import transcribe
from antiphon.cli.client import Client
from antiphon.cli.main import app
from antiphon.cli.output import CommandFailed, ExitCode
from fake_api import Api, Exchange

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


def says(api: Api, text: str) -> None:
    def answer(exchange: Exchange) -> None:
        api.bodies.append(form(exchange))
        exchange.answer(200, text.encode(), "text/plain; charset=utf-8")

    api.answer = answer


def run(runner: CliRunner, api: Api, *arguments: str | Path) -> object:
    common = ["--base-url", api.url, "--key", "sk-1"]
    return runner.invoke(app, ["transcribe", *map(str, arguments), *common])


def test_the_transcript_alone_goes_to_stdout(api: Api, runner: CliRunner, recording: Path) -> None:
    says(api, "Ask not.\n")
    result = run(runner, api, recording)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "Ask not.\n", "")
    assert (api.paths, api.keys) == (["/v1/audio/transcriptions"], ["Bearer sk-1"])
    fields = {name: content for name, _, content in api.bodies[0]}
    assert fields == {"model": b"whisper-1", "response_format": b"text", "file": recording.read_bytes()}
    assert len(api.bodies[0]) == 3


def test_every_option_reaches_the_server(api: Api, runner: CliRunner, recording: Path) -> None:
    says(api, "{}")
    options = ["--format", "verbose_json", "--words", "--language", "de", "--prompt", "Grüße", "--model", "m"]
    assert run(runner, api, recording, *options).exit_code == 0
    fields = [(name, content.decode()) for name, _, content in api.bodies[0] if name != "file"]
    assert fields == [
        ("model", "m"),
        ("response_format", "verbose_json"),
        ("language", "de"),
        ("prompt", "Grüße"),
        ("timestamp_granularities[]", "segment"),
        ("timestamp_granularities[]", "word"),
    ]


def test_translate_asks_the_other_route(api: Api, runner: CliRunner, recording: Path) -> None:
    says(api, "Hello.\n")
    assert run(runner, api, recording, "--translate").stdout == "Hello.\n"
    assert api.paths == ["/v1/audio/translations"]


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
    ("kind", "name"),
    [
        ("json", "größe.json"),
        ("text", "größe.txt"),
        ("srt", "größe.srt"),
        ("verbose_json", "größe.json"),
        ("vtt", "größe.vtt"),
    ],
)
def test_a_folder_gets_a_file_for_each_format(
    api: Api, runner: CliRunner, recording: Path, tmp_path: Path, kind: str, name: str
) -> None:
    says(api, "Größe")
    folder = tmp_path / "new" / "folder"
    result = run(runner, api, recording, "--format", kind, "--output", folder)
    assert (result.exit_code, result.stdout) == (0, "")
    assert {path.name: path.read_text("utf-8") for path in folder.iterdir()} == {name: "Größe\n"}


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
            exchange.answer(200, content, "text/plain")

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


async def test_progress_follows_the_upload(api: Api, recording: Path) -> None:
    says(api, json.dumps({"text": "Hello"}))
    seen: list[int] = []
    client = Client(api.url, "k")
    text = await client.transcribe(recording, [("model", "m")], translate=False, progress=seen.append)
    assert json.loads(text) == {"text": "Hello"}
    assert seen == sorted(seen) and seen[-1] == 3 + 2 * MIB and len(seen) > 2


def test_the_bar_is_on_stderr_and_pulses_once_the_upload_is_done(
    recording: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(
        transcribe, "err_console", lambda: Console(file=shown, force_terminal=True, width=100)
    )
    with transcribe._shown(recording) as moved:
        moved(MIB)
        print("the transcript")
        moved(3 + 2 * MIB)
    assert "größe.mp3 uploading" in shown.getvalue() and "größe.mp3 transcribing" in shown.getvalue()
    assert "2.1/? MB" in shown.getvalue(), "how far the transcription is, nobody knows"
    assert capsys.readouterr().out == "the transcript\n"
