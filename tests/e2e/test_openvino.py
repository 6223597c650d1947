"""A server whose chat model is served by OpenVINO, and by llama.cpp for what OpenVINO cannot do.

The model was prepared before the first start. Everything else that chat does is in the tests of the clients,
which meet the same server.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import openai
import pytest
from benchmarks.processes import LLAMA, OPENVINO, Server, antiphon, chat_engine, engine_process

from alone import alone
from antiphon.engines.openvino import ENGINE
from antiphon.settings import Settings

REASON = ENGINE.absent(Settings()) or ENGINE.unsuited(Settings())
pytestmark = pytest.mark.skipif(bool(REASON), reason=f"OpenVINO {REASON}")

MODEL = "smollm2-135m-instruct-2024-11-01"
IDLE = 6
GONE_SECONDS = 3 * 10.0
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "forecast",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Paris", "Oslo"]}},
            "required": ["city"],
        },
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # Nobody has to wait for the engine for longer than that.
    settings = {"ANTIPHON_ENGINE_IDLE_SECONDS": str(IDLE), "ANTIPHON_QUEUE_SECONDS": str(IDLE)}
    with antiphon(alone(tmp_path_factory.mktemp("openvino"), "gpt-3.5-turbo"), settings) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.url, api_key=server.key, max_retries=0) as client:
        yield client


def test_answers_are_whole_or_streamed_and_the_same(client: openai.OpenAI) -> None:
    asked = {"model": "gpt-3.5-turbo", "messages": QUESTION, "max_tokens": 20, "temperature": 0}
    whole = client.chat.completions.create(**asked)
    assert whole.model == MODEL and "Paris" in whole.choices[0].message.content
    chunks = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert {chunk.system_fingerprint for chunk in chunks} == {whole.system_fingerprint}


def test_what_was_asked_before_is_kept(client: openai.OpenAI) -> None:
    system = {"role": "system", "content": "You know the sea, its ships and who sails them. " * 20}
    asked = {"model": MODEL, "messages": [system, *QUESTION], "max_tokens": 4}
    cached = [client.chat.completions.create(**asked).usage.prompt_tokens_details.cached_tokens for _ in "12"]
    assert cached[0] == 0 and cached[1] > 150


def test_functions_and_completions(client: openai.OpenAI) -> None:
    one = {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False}
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=60, **one)
    [call] = answer.choices[0].message.tool_calls
    assert json.loads(call.function.arguments)["city"] in ("Paris", "Oslo")
    for prompts in (["One, two, three,", "Red, green,"], [[1, 4093, 198], [28]]):
        written = client.completions.create(model=MODEL, prompt=prompts, max_tokens=4, echo=True)
        assert len(written.choices) == 2 and all(choice.text for choice in written.choices)


def test_what_it_cannot_do_is_done_by_the_other_engine_on_demand(
    server: Server, client: openai.OpenAI
) -> None:
    assert chat_engine(server) == OPENVINO and not running(server)
    asked = {"model": MODEL, "messages": QUESTION, "max_tokens": 8, "temperature": 0}
    preferred = client.chat.completions.create(**asked)
    other = client.with_options(max_retries=5).chat.completions.create(**asked, logprobs=True)
    assert running(server)
    told = other.choices[0].logprobs.content
    assert "".join(one.token for one in told).startswith(other.choices[0].message.content)
    assert other.usage.prompt_tokens == preferred.usage.prompt_tokens
    assert other.system_fingerprint != preferred.system_fingerprint
    biased = client.chat.completions.create(**asked, logit_bias={"504": 100})
    assert biased.choices[0].message.content.startswith("TheTheThe")
    began = time.monotonic()
    while running(server):
        assert time.monotonic() - began < GONE_SECONDS, "it runs although nobody asks for it"
        time.sleep(0.1)
    assert chat_engine(server) == OPENVINO


def running(server: Server) -> bool:
    """Whether llama.cpp is."""
    try:
        engine_process(server, LLAMA)
    except RuntimeError:
        return False
    return True


def test_the_preparation_is_kept_for_the_next_start(server: Server) -> None:
    [made] = (server.home / "models" / ".prepared").iterdir()
    assert (made / "manifest.json").is_file() and "openvino" in made.name
