"""Embeddings by llama.cpp: processes with a tiny BERT and with the bundled model, and one that breaks off."""

from __future__ import annotations

import asyncio
import base64
import json
import math
from array import array
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from itertools import chain, pairwise
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from addresses import unix
from antiphon.engines import kinds
from antiphon.engines.llama_embeddings import ENGINE, LlamaEmbeddingEngine, groups
from antiphon.engines.upstream import Upstream
from antiphon.errors import EngineFailed, InvalidRequest
from antiphon.values import Deployment
from antiphon.workers.llama import batch
from chat_engines import running
from tiny_models import BERT_PIECES, BERT_WORDS, write_bert

CLS, SEP, A, B = (BERT_WORDS.index(word) for word in ("[CLS]", "[SEP]", "▁a", "▁b"))
CONTEXT, SLOTS, WIDTH = 128, 4, 64


def deployment(model: Path, pooling: str = "mean", context: int = CONTEXT) -> Deployment:
    return Deployment(
        snapshot="m",
        task="embedding",
        engine="llama_embeddings",
        model=model,
        context=context,
        slots=SLOTS,
        options={"pooling": pooling},
    )


@asynccontextmanager
async def embedding(model: Path, *given: Any) -> AsyncIterator[tuple[LlamaEmbeddingEngine, Path]]:
    """A process that embeds, for the block, and its socket."""
    async with running(ENGINE, deployment(model, *given)) as (engine, socket):
        assert isinstance(engine, LlamaEmbeddingEngine)
        yield engine, socket


async def vectors(engine: LlamaEmbeddingEngine, *inputs: Any) -> list[array[float]]:
    tokens = await engine.tokenize(inputs)
    async with aclosing(engine.embed(tokens)) as made:
        return [array("f", vector) async for vector in made]


def likeness(one: array[float], other: array[float]) -> float:
    """The cosine of two vectors of length 1."""
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bert(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LlamaEmbeddingEngine]:
    """The tiny BERT; a module's tests share it."""
    model = write_bert(tmp_path_factory.mktemp("bert") / "b.gguf", context=CONTEXT, width=WIDTH)
    async with embedding(model) as (engine, _):
        yield engine


in_module = pytest.mark.asyncio(loop_scope="module")


def test_it_is_found() -> None:
    assert kinds()["llama_embeddings"] is ENGINE and ENGINE.task == "embedding"


@in_module
async def test_texts_stand_between_marks_and_cannot_write_them(bert: LlamaEmbeddingEngine) -> None:
    plain, forged, ids = await bert.tokenize(["a b", "a [SEP] b", (A, SEP)])
    assert plain == (CLS, A, B, SEP) and ids == (A, SEP)
    assert forged[:2] == (CLS, A) and forged[-2:] == (B, SEP)
    assert forged.count(SEP) == 1 and len(forged) > 6, "the mark is spelled in pieces"


@in_module
async def test_an_id_that_is_none_is_refused(bert: LlamaEmbeddingEngine) -> None:
    words = len(BERT_WORDS) + len(BERT_PIECES)
    assert await bert.tokenize([(words - 1,)]) == [(words - 1,)]
    with pytest.raises(InvalidRequest, match=f"no token {words} ") as refusal:
        await bert.tokenize(["a", (A, words)])
    assert refusal.value.param == "input"


@in_module
async def test_vectors_come_in_order_and_are_of_length_one(bert: LlamaEmbeddingEngine) -> None:
    """More inputs than slots, of several lengths: each gets the vector that it gets alone."""
    inputs = [" ".join(ascii_lowercase[at : at + 1 + at % 7]) for at in range(3 * SLOTS + 1)]
    together = await vectors(bert, *inputs)
    assert [len(one) for one in together] == [WIDTH] * len(inputs)
    for text, found in zip(inputs, together, strict=True):
        assert math.hypot(*found) == pytest.approx(1, abs=1e-5)
        [alone] = await vectors(bert, text)
        assert likeness(found, alone) > 0.9999
    assert all(likeness(one, other) < 0.995 for one, other in pairwise(together))


@in_module
async def test_an_input_may_fill_the_context(bert: LlamaEmbeddingEngine) -> None:
    [found] = await vectors(bert, (CLS, *[A] * (CONTEXT - 2), SEP))
    assert math.hypot(*found) == pytest.approx(1, abs=1e-5)


@in_module
async def test_requests_at_once_get_their_own(bert: LlamaEmbeddingEngine) -> None:
    alone = [await vectors(bert, text) for text in "abcdef"]
    at_once = await asyncio.gather(*(vectors(bert, *[text] * SLOTS) for text in "abcdef"))
    for [expected], found in zip(alone, at_once, strict=True):
        assert all(likeness(expected, one) > 0.9999 for one in found)


@in_module
async def test_the_pooling_is_the_one_that_was_asked_for(bert: LlamaEmbeddingEngine, tmp_path: Path) -> None:
    """What the catalogue says counts, whatever the file says. Of one token, all are alike."""
    async with embedding(write_bert(tmp_path / "b.gguf"), "cls") as (engine, _):
        by_first = await vectors(engine, "a b c", (A,))
    by_mean = await vectors(bert, "a b c", (A,))
    assert likeness(by_mean[0], by_first[0]) < 0.995 and likeness(by_mean[1], by_first[1]) > 0.9999


async def test_the_bundled_model_tells_what_is_alike(smollm2: Path) -> None:
    async with embedding(smollm2) as (engine, _):
        cat, like, other = await vectors(
            engine, "The cat sits on the mat.", "The cat sat on a mat.", "Bond yields rose in June."
        )
        [by_ids] = await vectors(engine, *await engine.tokenize(["The cat sits on the mat."]))
    assert len(cat) == 576 and likeness(cat, like) > likeness(cat, other)
    assert likeness(cat, by_ids) > 0.999


async def test_a_causal_model_is_read_in_steps(smollm2: Path) -> None:
    """By the last token: the whole context can be used, though a step is shorter."""
    context = batch(1) + 32
    async with embedding(smollm2, "last", context) as (engine, _):
        whole, other = await vectors(engine, tuple(range(1000, 1000 + context)), (2683, 999 + context))
    assert math.hypot(*whole) == pytest.approx(1, abs=1e-5) and likeness(whole, other) < 0.99


async def test_whoever_leaves_frees_the_engine_after_a_step(smollm2: Path) -> None:
    async with embedding(smollm2) as (engine, socket):
        watch = Upstream(unix(socket))

        async def busy() -> int:
            await watch.get("/lora-adapters")  # answered between two steps
            return sum(slot["is_processing"] for slot in json.loads(await watch.get("/slots")))

        asking = asyncio.create_task(vectors(engine, *[(504,) * CONTEXT] * 1000))
        async with asyncio.timeout(30):
            while not await busy():
                await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.wait({asking})
        async with asyncio.timeout(30):
            while await busy():
                await asyncio.sleep(0.01)
        await watch.close()


@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [
        ([], []),
        ([1], [1]),
        ([1] * 9, [4, 4, 1]),
        ([5, 5, 5], [2, 1]),
        ([10, 1, 9, 1], [1, 2, 1]),
        ([50, 1], [1, 1]),
    ],
)
def test_groups_are_what_a_step_takes(lengths: list[int], sizes: list[int]) -> None:
    inputs = [(number,) * length for number, length in enumerate(lengths)]
    found = list(groups(inputs, 10, 4))
    assert [len(group) for group in found] == sizes
    assert list(chain(*found)) == inputs


def encoded(*numbers: float) -> str:
    return base64.b64encode(array("f", numbers).tobytes()).decode()


def answered(*vectors: str) -> bytes:
    data = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return json.dumps({"data": data}).encode()


@pytest.mark.parametrize(
    "answer",
    [
        b"no JSON",
        answered(),
        answered(encoded(1, 0)),
        answered(encoded(1, 0), encoded(1, 0), encoded(1, 0)),
        answered(encoded(1, 0), encoded(math.nan, 0)),
        answered(encoded(1, 0), encoded(1, 1)),
        answered(encoded(1, 0), encoded()),
        answered(encoded(1, 0), "!!!!"),
        answered(encoded(1, 0), "AAAAAAA="),
    ],
)
async def test_what_is_no_vector_for_each_input_is_the_engines_failure(tmp_path: Path, answer: bytes) -> None:
    async def embeddings(request: web.Request) -> web.Response:
        return web.Response(body=answer, content_type="application/json")

    app = web.Application()
    app.add_routes([web.post("/v1/embeddings", embeddings)])
    runner = web.AppRunner(app)
    await runner.setup()
    socket = tmp_path / "s"
    await web.UnixSite(runner, str(socket)).start()
    engine = LlamaEmbeddingEngine(deployment(tmp_path), unix(socket))
    try:
        with pytest.raises(EngineFailed, match="no vector"):
            async with aclosing(engine.embed([(1,), (2,)])) as made:
                assert [vector async for vector in made] == []
    finally:
        await engine.close()
        await runner.cleanup()
