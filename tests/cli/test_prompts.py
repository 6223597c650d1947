"""Files of prompts: what becomes a request, and what is refused with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.cli import prompts
from antiphon.cli.output import CommandFailed, ExitCode
from antiphon.cli.prompts import Prompt, read
from antiphon.wire.chat import ChatRequest

HI = [{"role": "user", "content": "Hi"}]
CHOSEN = {"temperature": 0, "seed": 1}

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
names = st.sampled_from(["messages", "body", "custom_id", "url", "n", "role", "content", "seed"]) | st.text()
values = st.recursive(leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(names, v, max_size=4))


def written(folder: Path, *lines: Any, name: str = "prompts.jsonl") -> Path:
    """A file of these lines: bytes as they are, anything else as JSON."""
    path = folder / name
    whole = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(whole))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CommandFailed) as caught:
        read(path)
    assert caught.value.exit_code == ExitCode.USAGE
    assert caught.value.message.startswith(str(path))
    return caught.value.message.removeprefix(str(path))


def test_a_body_is_sent_as_it_is_but_for_what_it_leaves_open(tmp_path: Path) -> None:
    said = {"messages": HI, "temperature": 0.5, "seed": 7, "stop": ["."]}
    path = written(tmp_path, {"messages": HI}, said)
    assert read(path) == [Prompt("line 1", {"messages": HI, **CHOSEN}), Prompt("line 2", said)]


def test_model_and_streaming_are_not_the_line_s_to_choose(tmp_path: Path) -> None:
    line = {"messages": HI, "model": "gpt-4", "stream": False, "stream_options": None, "temperature": None}
    [found] = read(written(tmp_path, line))
    assert found.body == {"messages": HI, **CHOSEN}


def test_lines_of_a_batch_keep_their_names(tmp_path: Path) -> None:
    first = {"custom_id": "first", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": HI}}
    found = read(written(tmp_path, first, b"", {"body": {"messages": HI, "model": "gpt-4"}}))
    assert [prompt.id for prompt in found] == ["first", "line 3"]
    assert found[0].body == found[1].body == {"messages": HI, **CHOSEN}


@pytest.mark.parametrize("bound", ["max_tokens", "max_completion_tokens"])
def test_a_bound_of_the_line_comes_before_the_option_s(tmp_path: Path, bound: str) -> None:
    path = written(tmp_path, {"messages": HI}, {"messages": HI, bound: 3}, {"messages": HI, bound: None})
    bounds = [{k: v for k, v in prompt.body.items() if k.startswith("max")} for prompt in read(path, 9)]
    assert bounds == [{"max_tokens": 9}, {bound: 3}, {"max_tokens": 9}]


def test_lines_of_text(tmp_path: Path) -> None:
    content = '\ufeffWhy?\r\n\n  \t\n{"not": "JSON"}\nGrüße\u2028und\x0bmehr \n'.encode()
    path = written(tmp_path, content, name="prompts.TXT")
    assert [prompt.id for prompt in read(path)] == ["line 1", "line 4", "line 5"]
    assert [prompt.body["messages"][0]["content"] for prompt in read(path)] == [
        "Why?",
        '{"not": "JSON"}',
        "Grüße\u2028und\x0bmehr ",
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "We could not parse"),
        (b"\xff", "We could not parse"),
        (b"[]", "The request is not a JSON object."),
        (b'"Hi"', "The request is not a JSON object."),
        ({"body": None}, "The request is not a JSON object."),
        ({}, "Missing required parameter: 'messages'."),
        ({"prompt": "Hi"}, "'"),
        ({"messages": []}, "'messages'"),
        ({"messages": [{"content": "Hi"}]}, "Missing required parameter: 'messages[0].role'."),
        ({"messages": HI, "temprature": 0}, "Unknown parameter: 'temprature'."),
        ({"messages": HI, "temperature": 3}, "'temperature'"),
        ({"messages": HI, "verbosity": "high"}, "'verbosity' with this value is not supported"),
        ({"messages": HI, "n": 2}, "'n' is not 1"),
        ({"body": {"messages": HI}, "url": "/v1/embeddings"}, "'url' is not /v1/chat/completions"),
        ({"body": {"messages": HI}, "custom_id": 5}, "'custom_id' is not a string"),
        ({"body": {"messages": HI}, "custom_id": ""}, "'custom_id' is not a string"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "We could not parse"),
        (b'{"messages": [{"role": "user", "content": "\\u0000"}]}', "The body holds the character U+0000"),
        (b'{"messages": ' + b"[" * 100_000, "We could not parse"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: Any, said: str) -> None:
    found = refusal(written(tmp_path, {"messages": HI}, b"", line))
    assert found.startswith(", line 3: ") and said in found


def test_text_that_is_none_is_named(tmp_path: Path) -> None:
    assert refusal(written(tmp_path, b"Hi", b"\xff", name="a.txt")) == ", line 2: It is not text in UTF-8."
    assert refusal(written(tmp_path, b"a\0b", name="a.txt")).startswith(", line 1: The body holds")


def test_a_file_without_prompts(tmp_path: Path) -> None:
    assert refusal(written(tmp_path, b" \r\n\t")) == " holds no prompts"
    with pytest.raises(CommandFailed, match="cannot be read: No such file"):
        read(tmp_path / "nothing")


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [b"Hi"] * prompts.PROMPTS
    assert len(read(written(tmp_path, *lines, name="a.txt"))) == 10_000
    assert refusal(written(tmp_path, *lines, b"Hi", name="a.txt")) == " holds more than 10000 prompts"
    monkeypatch.setattr(prompts, "LINE_BYTES", 100)
    assert (
        refusal(written(tmp_path, b"Hi", b"x" * 101, name="a.txt")) == ", line 2: it is longer than 100 bytes"
    )
    monkeypatch.setattr(prompts, "FILE_BYTES", 1000)
    assert refusal(written(tmp_path, *[b"x" * 99] * 11, name="a.txt")) == " is longer than 1000 bytes"


@given(st.binary(max_size=200) | st.lists(values, max_size=3), st.sampled_from(["jsonl", "txt"]))
@settings(max_examples=100, deadline=None)
def test_no_file_breaks_it(
    tmp_path_factory: pytest.TempPathFactory, content: bytes | list[Any], ending: str
) -> None:
    lines = [content] if isinstance(content, bytes) else content
    path = written(tmp_path_factory.getbasetemp(), *lines, name=f"hostile.{ending}")
    try:
        found = read(path, 5)
    except CommandFailed as problem:
        assert problem.exit_code == ExitCode.USAGE and problem.message.startswith(str(path))
        return
    for prompt in found:
        msgspec.convert({**prompt.body, "model": "m"}, ChatRequest)
