"""The chat engine's process with the bundled model: what its client alone does not see."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from antiphon.engines import kinds
from chat_engines import deployment, running
from until import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTEXT = 1024
WORDS = (
    "time person year way day thing man world life hand part child eye woman place work week case point "
    "government company"
).split()


class Engine:
    """Plain HTTP to the process."""

    def __init__(self, session: aiohttp.ClientSession, socket: Path) -> None:
        self._session = session
        self.socket = socket

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        async with self._session.post(f"http://engine{path}", json=body) as response:
            return response.status, await response.json()

    async def frames(self, prompt: list[int], **given: Any) -> list[dict[str, Any]]:
        """The events of an answer; greedy, unless it is given otherwise."""
        body = {"prompt": prompt, "n_predict": 8, "temperature": 0, **given}
        async with self._session.post("http://engine/completion", json=body) as response:
            assert response.status == 200, await response.text()
            lines = (await response.text()).split("\n\n")
        return [json.loads(line.removeprefix("data: ")) for line in lines if line]

    async def tokens(self, *pieces: str | int) -> list[int]:
        status, answer = await self.post("/tokenize", {"content": pieces})
        assert status == 200
        found: list[int] = answer["tokens"]
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(smollm2: Path, prepared_smollm2: Path) -> AsyncIterator[Engine]:
    served = deployment("openvino", smollm2, prepared_smollm2, context=CONTEXT, slots=4)
    async with running(kinds()["openvino"], served) as (_, socket):
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as session:
            yield Engine(session, socket)


async def test_an_answer_is_a_stream_of_frames(engine: Engine) -> None:
    prompt = await engine.tokens(1, "user\nWhat is the capital of France?", 2, "\n", 1, "assistant\n")
    frames = await engine.frames(prompt, n_predict=20)
    assert "".join(frame.get("content", "") for frame in frames) == "The capital of France is Paris."
    assert frames[-1]["stop"] and frames[-1]["stop_type"] == "eos"
    assert [frame["tokens_predicted"] for frame in frames] == sorted(
        frame["tokens_predicted"] for frame in frames
    )
    assert not any(frame.get("stop") for frame in frames[:-1])


@pytest.mark.requirement("R25")
async def test_a_prompt_of_one_organization_is_not_found_by_another(engine: Engine) -> None:
    prompt = await engine.tokens("Some beginning that is long enough. " * 40)
    cached = {}
    for turn, partition in enumerate(["a", "a", "b", "b", "", ""]):
        last = (await engine.frames(prompt, partition=partition, n_predict=2))[-1]
        cached[turn] = last.get("timings", {}).get("cache_n", 0)
    whole = len(prompt) // 32 * 32
    assert cached == {0: 0, 1: whole, 2: 0, 3: whole, 4: 0, 5: 0}


async def test_the_whole_context_can_be_used(engine: Engine) -> None:
    prompt = (await engine.tokens("word " * CONTEXT))[: CONTEXT - 2]
    frames = await engine.frames(prompt, n_predict=2)
    assert frames[-1]["tokens_predicted"] == 2 and frames[-1]["stop_type"] == "limit"


async def test_a_kept_prompt_changes_no_answer(engine: Engine) -> None:
    prompt = await engine.tokens("The quick brown fox jumps over the lazy dog. " * 20)
    answers = [await engine.frames(prompt, partition=name) for name in ("c", "c", "", "d")]
    said = ["".join(frame.get("content", "") for frame in frames) for frames in answers]
    assert len(set(said)) == 1 and said[0]


async def test_prompts_that_are_left_half_read_change_no_answer(engine: Engine) -> None:
    """Beside another answer their pieces are no whole blocks, and OpenVINO keeps the last as if it were."""
    endless = await engine.tokens("go go go go go go go go go go go go")

    async def going() -> None:
        while True:  # on some processors the model soon comes to an end
            await engine.frames(endless, n_predict=900, partition="beside")

    beside = asyncio.create_task(going())
    for turn in range(2):
        chance = random.Random(turn)
        prompt = (await engine.tokens(" ".join(chance.choices(WORDS, k=1000))))[:950]
        left = asyncio.create_task(engine.frames(prompt, partition="e"))
        await asyncio.sleep(0.3 + 0.3 * turn)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        again, fresh = [await engine.frames(prompt, n_predict=16, partition=name) for name in ("e", "")]
        assert not beside.done(), "nothing was computed beside it"
        assert again[-1].get("timings", {}).get("cache_n", 0) == 0
        said = ["".join(frame.get("content", "") for frame in frames) for frames in (again, fresh)]
        assert said[0] == said[1] and said[0], turn
    beside.cancel()
    await asyncio.gather(beside, return_exceptions=True)


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"n_predict": CONTEXT}, "messages"),
        ({"prompt": [1, 49152]}, "prompt"),
        ({"temperature": 9}, "temperature"),
        ({"logit_bias": []}, "logit_bias"),
    ],
)
async def test_what_is_wrong_is_refused_by_name(engine: Engine, given: dict[str, Any], param: str) -> None:
    status, answer = await engine.post("/completion", {"prompt": [1, 2], "n_predict": 2, **given})
    assert status == 400 and answer["error"]["param"] == param


@pytest.mark.parametrize("body", [{}, {"content": "text"}, {"content": ["x"], "parse_special": True}])
async def test_tokenize_takes_a_list(engine: Engine, body: dict[str, Any]) -> None:
    status, answer = await engine.post("/tokenize", body)
    assert status == 400 and answer["error"]["param"] == "content"


async def test_a_long_text_is_tokenized_whole(engine: Engine) -> None:
    assert len(await engine.tokens("word " * 20_000)) > 20_000


async def test_whoever_leaves_is_forgotten(engine: Engine) -> None:
    """More than the process takes at once are begun and left, and it goes on."""
    prompt = await engine.tokens(1, "user\nWrite a long story.", 2, "\n", 1, "assistant\n")

    async def leave() -> None:
        async with asyncio.timeout(0.2):
            await engine.frames(prompt, n_predict=900)

    async with asyncio.timeout(90):
        for _ in range(8):
            left = await asyncio.gather(*(leave() for _ in range(8)), return_exceptions=True)
            assert all(isinstance(problem, TimeoutError) for problem in left)
        assert (await engine.frames(prompt, n_predict=2))[-1]["stop_type"] == "limit"


async def test_a_grammar_that_cannot_be_read_ends_the_process(engine: Engine) -> None:
    """The last test here: nobody is answered after it."""
    body = {"prompt": [1, 2], "n_predict": 4, "grammar": "root ::= nothing"}
    status, answer = await engine.post("/completion", body)
    assert status == 400 and answer["error"]["param"] == "grammar"
    await until(lambda: not engine.socket.exists())
