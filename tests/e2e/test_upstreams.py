"""One Antiphon before another: chat and speech that are served at a URL, metered and billed by the first."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import openai
import pytest
from benchmarks.processes import Server, antiphon, free_port

CHAT, SPEECH = "far-chat-2024-11-01", "far-speech-2022-09-21"
ALIASES = (
    "gpt-3.5-turbo", "gpt-3.5-turbo-0301", "gpt-3.5-turbo-0613", "gpt-3.5-turbo-16k",
    "gpt-3.5-turbo-16k-0613", "gpt-3.5-turbo-1106", "gpt-3.5-turbo-0125",
)  # fmt: skip
"""Those that ship: all are served elsewhere, so that no engine runs here."""
POSTED_SECONDS = 30.0
GONE_SECONDS = 30.0
PROGRAM = str(Path(sys.executable).with_name("antiphon"))
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"enum": ["Paris", "Rome"]}, "days": {"enum": [1, 2, 3]}},
                "required": ["city", "days"],
                "additionalProperties": False,
            },
        },
    }
]
QUESTION: Any = [{"role": "user", "content": "What is the weather like in Paris tomorrow?"}]


class Far:
    """The Antiphon that serves, which can be killed and started anew."""

    def __init__(self, home: Path) -> None:
        self._home, self._port, self._key = home, free_port(), None
        self.start()
        self._key = self.server.key

    def start(self) -> None:
        self._stack = ExitStack()
        running = antiphon(self._home, {"ANTIPHON_PORT": str(self._port)}, key=self._key)
        self.server = self._stack.enter_context(running)

    def kill(self) -> None:
        os.kill(self.server.pid, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="-9"):
            self._stack.close()

    def stop(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    started = Far(tmp_path_factory.mktemp("far"))
    yield started
    started.stop()


def entries(far: Far, key: Path) -> str:
    """models.toml of the one in front."""
    source = f'kind = "upstream", url = "{far.server.url}", key_file = "{key}"'
    common = 'owned_by = "others"\nlicence = "Apache-2.0"\nreleased = 2024-11-01\nslots = 8'
    aliases = "\n".join(f'"{name}" = {{ snapshot = "{CHAT}" }}' for name in ALIASES)
    return f"""
[aliases]
{aliases}
"whisper-1" = {{ snapshot = "{SPEECH}" }}

[snapshots."{CHAT}"]
task = "chat"
engine = "openai"
context = 8192
{common}
prices = [{{ since = 2023-03-01, input = "0.002", cached_input = "0.001", output = "0.003" }}]
source = {{ {source}, model = "gpt-3.5-turbo" }}

[snapshots."{SPEECH}"]
task = "speech"
engine = "openai_speech"
{common}
prices = [{{ since = 2023-03-01, second = "0.0001" }}]
source = {{ {source}, model = "whisper-1" }}
"""


@pytest.fixture(scope="module")
def home(far: Far, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("near")
    key = folder / "key"
    key.write_text(far.server.key)
    (folder / "models.toml").write_text(entries(far, key))
    return folder


@pytest.fixture(scope="module")
def near(far: Far, home: Path) -> Iterator[Server]:
    settings = {"ANTIPHON_UPSTREAMS": f"http://10.1.2.3 {far.server.root}", "ANTIPHON_PROCESSES": "2"}
    with antiphon(home, settings) as started:
        yield started


def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=server.url, api_key=server.key, max_retries=0,
        http_client=openai.DefaultHttpxClient(trust_env=False, timeout=120),
    )  # fmt: skip


def command(home: Path, *words: str) -> Any:
    done = subprocess.run(
        [PROGRAM, *words, "--json", "--home", str(home)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def used(home: Path) -> tuple[int, int, int, int]:
    """Requests, input tokens, output tokens and seconds of sound, of all time."""
    rows = command(home, "usage")
    names = ("requests", "input_tokens", "output_tokens", "seconds")
    requests, read, written, seconds = (sum(row[name] for row in rows) for name in names)
    return requests, read, written, seconds


def billed(home: Path, before: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Wait until that much more than `before` is in the books."""
    deadline = time.monotonic() + POSTED_SECONDS
    while (now := tuple(a - b for a, b in zip(used(home), before, strict=True))) != expected:
        assert time.monotonic() < deadline, f"{now} in the books, {expected} was seen"
        time.sleep(0.5)


def test_calls_are_streamed_and_billed_as_the_client_saw_them(near: Server, far: Far) -> None:
    mine, theirs = used(near.home), used(far.server.home)
    with client(near) as api:
        stream = api.chat.completions.create(
            model="gpt-3.5-turbo", messages=QUESTION, tools=TOOLS, tool_choice="required",
            parallel_tool_calls=False, max_tokens=100, temperature=0,
            stream=True, stream_options={"include_usage": True},
        )  # fmt: skip
        chunks = list(stream)
    calls = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or []]
    assert calls[0].id and calls[0].function and calls[0].function.name == "weather"
    first = [call.function.arguments or "" for call in calls if call.index == 0 and call.function]
    assert json.loads("".join(first)).keys() == {"city", "days"}
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    usage = chunks[-1].usage
    assert reasons == ["tool_calls"] and usage is not None and usage.completion_tokens > 5
    assert {chunk.model for chunk in chunks} == {CHAT}, "the names of others are nobody's business"
    seen = (1, usage.prompt_tokens, usage.completion_tokens, 0)
    billed(near.home, mine, seen)
    billed(far.server.home, theirs, seen)


def test_a_result_is_sent_back_and_answers_are_the_same_as_there(near: Server, far: Far) -> None:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Rome"}'},
    }
    messages: Any = [
        *QUESTION,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Rain"},
    ]
    given: Any = {"model": "gpt-3.5-turbo", "messages": messages, "max_tokens": 20, "temperature": 0}
    with client(near) as here, client(far.server) as there:
        # Numbers are rounded another way while a prompt is new, and beside other answers: see docs/chat.md.
        there.chat.completions.create(**given)
        one, other = here.chat.completions.create(**given), there.chat.completions.create(**given)
        two = here.chat.completions.create(**given, n=2)
    assert one.choices[0].message.content == other.choices[0].message.content
    assert [choice.index for choice in two.choices] == [0, 1]
    assert one.usage is not None and other.usage is not None
    assert one.usage.prompt_tokens == other.usage.prompt_tokens
    assert one.usage.completion_tokens == other.usage.completion_tokens


def test_what_does_not_fit_is_refused_before_it_is_answered(near: Server) -> None:
    with client(near) as api:
        for messages in ([{"role": "user", "content": "sea " * 9000}], QUESTION):
            with pytest.raises(openai.BadRequestError) as refusal:
                api.chat.completions.create(
                    model="gpt-3.5-turbo", messages=messages, max_tokens=8190, tools=TOOLS
                )
            assert refusal.value.code == "context_length_exceeded"
        with pytest.raises(openai.BadRequestError) as refusal:
            api.completions.create(model="gpt-3.5-turbo", prompt="Once upon")
        assert refusal.value.param == "model"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a type of the client's
def test_recordings_are_transcribed_there_and_measured_here(near: Server, far: Far, recordings: Path) -> None:
    mine = used(near.home)
    path = recordings / "en_whisper_jfk.flac"
    with client(near) as here, client(far.server) as there:
        given: Any = {"model": "whisper-1", "response_format": "verbose_json"}
        one = here.audio.transcriptions.create(file=path, timestamp_granularities=["word"], **given)
        other = there.audio.transcriptions.create(file=path, timestamp_granularities=["word"], **given)
        translated = here.audio.translations.create(file=path, model="whisper-1")
    assert one.text == other.text and "country" in one.text and one.language == other.language
    assert one.words and other.words and [w.word for w in one.words] == [w.word for w in other.words]
    assert "country" in translated.text
    billed(near.home, mine, (2, 0, 0, 22))


def test_the_doctor_asks_there(near: Server, far: Far, home: Path) -> None:
    told = {"ANTIPHON_UPSTREAMS": far.server.root}
    assert doctor(home, told)["state"] == "ok"
    key = (home / "key").read_text()
    try:
        (home / "key").write_text("sk-wrong")
        found = doctor(home, told)
        assert found["state"] == "problem" and "401" in found["detail"] and "sk-wrong" not in str(found)
    finally:
        (home / "key").write_text(key)


def doctor(home: Path, told: dict[str, str]) -> Any:
    done = subprocess.run(
        [PROGRAM, "doctor", "--json", "--home", str(home)],
        capture_output=True, text=True, timeout=120, env={**os.environ, **told},
    )  # fmt: skip
    return next(row for row in json.loads(done.stdout) if row["name"] == "upstreams")


def test_what_is_not_allowed_is_not_asked(home: Path, tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text((home / "models.toml").read_text())
    done = subprocess.run(
        [PROGRAM, "serve", "--home", str(tmp_path), "--port", "0", "--upstreams", "http://10.1.2.3"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode != 0 and "`upstreams`" in done.stderr and "Traceback" not in done.stderr


def state(server: Server) -> Any:
    try:
        with urlopen(f"{server.root}/readyz", timeout=5) as answer:
            return json.load(answer)
    except HTTPError as refusal:
        with refusal:
            return json.load(refusal)


def test_one_that_is_killed_midway_is_an_error_and_served_again_once_it_is_back(
    near: Server, far: Far
) -> None:
    with client(near) as api:
        stream = api.chat.completions.create(
            model="gpt-3.5-turbo", messages=[{"role": "user", "content": "Write a very long story."}],
            max_tokens=4000, stream=True, temperature=1, logit_bias={0: -100, 2: -100},
        )  # fmt: skip
        pieces = iter(stream)
        assert next(pieces).choices and next(pieces).choices
        far.kill()
        with pytest.raises(openai.APIError) as failure:
            for _ in pieces:
                pass
        assert failure.value.code == "engine_failed", "and no end that looks like one"
        deadline = time.monotonic() + GONE_SECONDS
        while state(near)["deployments"][CHAT] == "ready":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        back = threading.Thread(target=far.start)
        back.start()
        try:
            answer = asked_until_served(api)
        finally:
            back.join()
        assert answer.choices[0].message.content
    assert command(near.home, "ledger", "verify") == []


def asked_until_served(api: openai.OpenAI) -> Any:
    """Requests wait for it as long as they wait for any engine; then they are told to come back."""
    deadline = time.monotonic() + 3 * GONE_SECONDS
    while True:
        try:
            return api.chat.completions.create(model="gpt-3.5-turbo", messages=QUESTION, max_tokens=5)
        except openai.APIStatusError as refusal:
            assert refusal.status_code in (429, 503) and time.monotonic() < deadline
            time.sleep(1)
