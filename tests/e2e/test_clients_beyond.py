"""What applications use in place of the official clients: each calls functions and asks for a schema."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal

import httpx
import httpx2
import pytest
from benchmarks.processes import Server
from drivers import CALL_SECONDS, script
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.direct import model_request
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

MODEL = "smollm2-135m-instruct-2024-11-01"
"""By this name: some take `gpt-3.5-turbo` for what cannot hold to a schema, and ask for less."""
TOKENS = 48
QUESTION = "What is the weather in Paris for the next 3 days?"


class City(BaseModel):
    """The weather of the next days."""

    city: Literal["Paris", "Oslo"] = Field(description="Where.")
    days: int = Field(ge=1, le=9)


@pytest.fixture(scope="module")
def langchain(server: Server) -> Iterator[ChatOpenAI]:
    with httpx.Client() as connections:
        yield ChatOpenAI(
            model=MODEL,
            base_url=server.url,
            api_key=server.key,
            temperature=0,
            max_tokens=TOKENS,
            max_retries=0,
            stream_usage=True,
            http_client=connections,
        )


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_langchain_asks_for_a_schema(langchain: ChatOpenAI, method: Any) -> None:
    asked = langchain.with_structured_output(City, method=method, include_raw=True).invoke(QUESTION)
    if method == "json_mode":  # is not told of the schema
        assert asked["raw"].content.startswith("{")
    else:
        assert isinstance(asked["parsed"], City), asked


def test_langchain_calls_functions(langchain: ChatOpenAI) -> None:
    able = langchain.bind_tools([City], tool_choice="any", parallel_tool_calls=False, strict=True)
    answer = able.invoke(QUESTION)
    [call] = answer.tool_calls
    assert call["name"] == "City" and call["id"] and City(**call["args"])
    assert answer.usage_metadata["output_tokens"] > 0
    assert answer.response_metadata["finish_reason"] == "tool_calls"

    put: AIMessageChunk | None = None
    for chunk in able.stream(QUESTION):
        put = chunk if put is None else put + chunk
    assert put is not None
    assert [one["args"] for one in put.tool_calls] == [call["args"]]
    assert put.usage_metadata["total_tokens"] == answer.usage_metadata["total_tokens"]

    result = ToolMessage('{"sky": "clear"}', tool_call_id=call["id"])
    after = langchain.invoke([HumanMessage(QUESTION), answer, result])
    assert after.content and not after.tool_calls


def test_langchain_streams(langchain: ChatOpenAI) -> None:
    pieces = list(langchain.stream(QUESTION))
    assert sum(bool(piece.content) for piece in pieces) > 1
    assert "".join(str(piece.content) for piece in pieces) == langchain.invoke(QUESTION).content


@pytest.fixture
async def pydantic_ai(server: Server) -> AsyncIterator[OpenAIChatModel]:
    async with httpx2.AsyncClient() as connections:
        provider = OpenAIProvider(base_url=server.url, api_key=server.key, http_client=connections)
        yield OpenAIChatModel(MODEL, provider=provider)


SETTINGS = ModelSettings(temperature=0, max_tokens=TOKENS, parallel_tool_calls=False)


@pytest.mark.parametrize("output", [City, NativeOutput(City)], ids=["function", "schema"])
async def test_pydantic_ai_asks_for_a_schema(pydantic_ai: OpenAIChatModel, output: Any) -> None:
    agent = Agent(pydantic_ai, output_type=output, model_settings=SETTINGS, instructions="Be brief.")
    assert isinstance((await agent.run(QUESTION)).output, City)
    async with agent.run_stream(QUESTION) as streamed:
        assert isinstance(await streamed.get_output(), City)


async def test_pydantic_ai_calls_functions(pydantic_ai: OpenAIChatModel) -> None:
    tool = ToolDefinition(name="forecast", parameters_json_schema=City.model_json_schema())
    asked: list[ModelMessage] = [ModelRequest.user_text_prompt(QUESTION)]
    answer = await model_request(
        pydantic_ai,
        asked,
        model_settings=SETTINGS | {"tool_choice": "required"},
        model_request_parameters=ModelRequestParameters(function_tools=[tool]),
    )
    [call] = answer.parts
    assert isinstance(call, ToolCallPart) and call.tool_name == "forecast"
    assert City(**call.args_as_dict())
    assert answer.finish_reason == "tool_call" and answer.usage.output_tokens > 0

    result = ToolReturnPart("forecast", {"sky": "clear"}, tool_call_id=call.tool_call_id)
    history: list[ModelMessage] = [*asked, answer, ModelRequest(parts=[result])]
    agent = Agent(pydantic_ai, model_settings=SETTINGS)
    after = await agent.run(message_history=history)
    assert after.output and isinstance(after.response, ModelResponse)
    assert any(isinstance(part, TextPart) for part in after.response.parts)


EXTRA_MODELS = """
- model_id: antiphon
  model_name: gpt-3.5-turbo
  api_base: {url}
  api_key_name: antiphon
  supports_schema: true
  supports_tools: true
"""


@pytest.fixture
def llm(server: Server, tmp_path: Path) -> Any:
    """Runs the command `llm` with such a configuration as its documentation has; gives what it printed."""
    (tmp_path / "extra-openai-models.yaml").write_text(EXTRA_MODELS.format(url=server.url))
    (tmp_path / "keys.json").write_text(json.dumps({"antiphon": server.key}))
    # Without plugins: one of those that are installed here brings an engine of its own.
    own = {"LLM_USER_PATH": str(tmp_path), "LLM_LOAD_PLUGINS": "", "PYTHONWARNINGS": "default"}

    def run(*arguments: str) -> str:
        options = ["-m", "antiphon", "-o", "temperature", "0", "-o", "max_tokens", str(TOKENS)]
        done = subprocess.run(
            [sys.executable, "-m", "llm", *options, *arguments],
            env=os.environ | own,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CALL_SECONDS,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


def test_llm_asks_for_a_schema(llm: Any) -> None:
    schema = json.dumps(City.model_json_schema())
    for streamed in ((), ("--no-stream",)):
        assert City.model_validate_json(llm(QUESTION, "--schema", schema, *streamed))


def test_llm_offers_functions(llm: Any) -> None:
    function = 'def forecast(city: str) -> str:\n    "The weather of a city."\n    return f"clear in {city}"'
    assert llm(QUESTION, "--functions", function, "--chain-limit", "2").strip()


@pytest.mark.parametrize("provider", ["compatible", "openai"])
def test_vercel_ai_sdk(server: Server, provider: str) -> None:
    told = script("vercel-ai-7", server, provider)
    for steps in (told["whole"], told["streamed"]):
        first, second = steps
        assert first["finishReason"] == "tool-calls" and first["tokens"] > 0
        [call], [result] = first["calls"], first["results"]
        assert call["name"] == "forecast" and call["id"] == result["id"]
        city = City(**call["input"])
        assert result["output"] == {"sky": f"clear in {city.city} for {city.days} days"}
        assert second["text"] and second["calls"] == [] and second["tokens"] > 0
    assert told["pieces"] > 1
    assert City(**told["object"])
    assert told["refusal"]["status"] == 400
    assert told["refusal"]["param"] == "tools[0].function.parameters"
