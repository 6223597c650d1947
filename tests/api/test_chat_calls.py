"""Calls of functions in answers: whole and streamed, today's and those of 2023, and sent back."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from antiphon.values import CallDelta, ChatJob, Delta, Usage
from service import ScriptedEngine, serving

TOOLS = [
    {"type": "function", "function": {"name": "weather"}},
    {"type": "function", "function": {"name": "now"}},
]
WRITTEN = [
    "Let",
    " me",
    " see.\n<tool",
    '_call>\n{"name": "wea',
    'ther", "arguments": {"city"',
    ': "Par',
    'is"}}\n</tool_call>',
    '\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>',
]


async def calling(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
    for index in range(job.n):
        for count, text in enumerate(WRITTEN, 1):
            yield Delta(index, text, completion_tokens=count)
        yield Delta(index, "", (), "stop", len(WRITTEN))
    yield Usage(prompt_tokens=3, completion_tokens=len(WRITTEN) * job.n)


def chunks(body: str) -> list[dict[str, Any]]:
    lines = [block.removeprefix("data: ") for block in body.split("\n\n") if block]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


async def test_a_whole_answer_has_its_calls(tmp_path: Path) -> None:
    async with serving(tmp_path, ScriptedEngine(calling)) as service:
        status, _, body = await service.chat(tools=TOOLS, n=2)
    assert status == 200
    for choice in body["choices"]:
        first, second = choice["message"]["tool_calls"]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["content"] == "Let me see.\n"
        assert (first["type"], first["function"]) == (
            "function",
            {"name": "weather", "arguments": '{"city": "Paris"}'},
        )
        assert second["function"] == {"name": "now", "arguments": "{}"}
        assert first["id"] != second["id"] and first["id"].startswith("call_")
        assert "function_call" not in choice["message"]
    assert body["usage"]["completion_tokens"] == 2 * len(WRITTEN)


async def test_a_stream_has_its_calls_as_they_are_written(tmp_path: Path) -> None:
    async with serving(tmp_path, ScriptedEngine(calling)) as service:
        status, _, body = await service.chat(tools=TOOLS, stream=True)
    assert status == 200
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks(body)]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("content", "") for delta in deltas) == "Let me see.\n"
    pieces = [call for delta in deltas for call in delta.get("tool_calls", [])]
    assert [piece["index"] for piece in pieces] == [0] * 4 + [1] * 2
    begun = [piece for piece in pieces if "id" in piece]
    assert [(one["type"], one["function"]) for one in begun] == [
        ("function", {"name": "weather", "arguments": ""}),
        ("function", {"name": "now", "arguments": ""}),
    ]
    assert all(piece.keys() == {"index", "function"} for piece in pieces if piece not in begun)
    first = "".join(piece["function"]["arguments"] for piece in pieces if piece["index"] == 0)
    assert json.loads(first) == {"city": "Paris"}
    ends = [chunk["choices"][0]["finish_reason"] for chunk in chunks(body)]
    assert ends[-1] == "tool_calls" and set(ends[:-1]) == {None}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_function_of_2023(tmp_path: Path, stream: bool) -> None:
    functions = [tool["function"] for tool in TOOLS]
    async with serving(tmp_path, ScriptedEngine(calling)) as service:
        _, _, body = await service.chat(functions=functions, stream=stream)
    if stream:
        found = [chunk["choices"][0] for chunk in chunks(body)]
        pieces = [choice["delta"]["function_call"] for choice in found if "function_call" in choice["delta"]]
        assert pieces[0] == {"name": "weather", "arguments": ""}
        assert found[-1]["finish_reason"] == "function_call"
        assert not any("tool_calls" in choice["delta"] for choice in found)
    else:
        [choice] = body["choices"]
        assert choice["message"]["function_call"] == {"name": "weather", "arguments": '{"city": "Paris"}'}
        assert choice["finish_reason"] == "function_call" and "tool_calls" not in choice["message"]


async def test_without_functions_nothing_is_taken_for_a_call(tmp_path: Path) -> None:
    async with serving(tmp_path, ScriptedEngine(calling)) as service:
        _, _, body = await service.chat()
        _, _, none = await service.chat(tools=TOOLS, tool_choice="none")
    for answer in (body, none):
        [choice] = answer["choices"]
        assert choice["message"]["content"] == "".join(WRITTEN) and choice["finish_reason"] == "stop"


async def test_an_answer_that_is_cut_off_says_so(tmp_path: Path) -> None:
    async def cut(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        yield Delta(0, "".join(WRITTEN[:5]), (), "length", 5)
        yield Usage(prompt_tokens=3, completion_tokens=5)

    async with serving(tmp_path, ScriptedEngine(cut)) as service:
        _, _, body = await service.chat(tools=TOOLS)
    [choice] = body["choices"]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"city"'


async def test_who_leaves_pays_for_the_calls_that_were_handed_over(tmp_path: Path) -> None:
    async def breaking(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        for count, text in enumerate(WRITTEN[:6], 1):
            yield Delta(0, text, completion_tokens=count)
        raise RuntimeError

    async with serving(tmp_path, ScriptedEngine(breaking)) as service:
        await service.chat(tools=TOOLS, stream=True)
        paid = await service.books.only()
    assert (paid.status, paid.output_tokens) == ("settled", 6)


async def test_calls_and_their_results_are_sent_back(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
    }
    said = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "Rain"}]},
        {"role": "assistant", "function_call": {"name": "now", "arguments": "{}"}},
        {"role": "function", "name": "now", "content": "Noon"},
    ]
    async with serving(tmp_path, engine) as service:
        status, _, _ = await service.chat(messages=said, tools=TOOLS)
        wrong, _, body = await service.chat(messages=[said[0], said[2]], tools=TOOLS)
    assert status == 200
    _, assistant, tool, older, function = engine.jobs[0].messages
    assert [(one.id, one.name, one.arguments) for one in assistant.calls] == [
        ("call_1", "weather", '{"city": "Paris"}')
    ]
    assert (tool.role, tool.content) == (function.role, "Rain") == ("tool", "Rain")
    assert older.calls[0].name == "now" and function.content == "Noon"
    assert (wrong, body["error"]["param"]) == (400, "messages[1].tool_call_id")


def test_a_piece_of_a_call_is_a_value() -> None:
    assert CallDelta(0) == CallDelta(0, "", "", "")
