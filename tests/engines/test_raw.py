"""Prompts as they were sent: text stays text, ids stay ids, and a document has a beginning."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from antiphon.engines import raw
from antiphon.engines.upstream import Upstream
from antiphon.engines.vocabulary import Vocabulary
from antiphon.errors import EngineFailed, InvalidRequest
from antiphon.values import Prompt
from fake_engine import command


def facts(**given: Any) -> Vocabulary:
    return Vocabulary(**{"size": 300, "specials": {"<s>": 256, "</s>": 257, "<|endoftext|>": 258}, **given})


@asynccontextmanager
async def fake(folder: Path) -> AsyncIterator[Upstream]:
    """A fake engine: a token for each byte."""
    socket = folder / "s"
    process = await asyncio.create_subprocess_exec(*command(socket))
    upstream = Upstream(socket)
    try:
        async with asyncio.timeout(30):
            while True:
                with suppress(EngineFailed):
                    await upstream.get("/health")
                    break
                await asyncio.sleep(0.02)
        yield upstream
    finally:
        await upstream.close()
        process.kill()
        await process.wait()


async def test_what_a_prompt_becomes(tmp_path: Path) -> None:
    async with fake(tmp_path) as upstream:
        for vocabulary, sent, tokens in (
            (facts(), "ab", (97, 98)),
            (facts(bos="<s>", eos="</s>"), "<s>", (60, 115, 62)),
            (facts(bos="<s>", adds_bos=True), "ab", (256, 97, 98)),
            (facts(bos="<s>", adds_bos=True), "", (256,)),
            (facts(bos="<s>", eos="</s>"), "", (258,)),
            (facts(bos="<s>", specials={"<s>": 256}), "", (256,)),
            (facts(bos="<s>", eos="</s>", specials={"</s>": 257}), "", (257,)),
        ):
            assert await raw.read(upstream, vocabulary, sent) == Prompt(sent, tokens)
        assert await raw.read(upstream, facts(), (97, 98)) == Prompt("ab", (97, 98))


async def test_a_prompt_that_cannot_be(tmp_path: Path) -> None:
    async with fake(tmp_path) as upstream:
        with pytest.raises(InvalidRequest, match="no token 300") as refusal:
            await raw.read(upstream, facts(), (5, 300))
        with pytest.raises(InvalidRequest, match="must not be empty") as empty:
            await raw.read(upstream, facts(specials={}), "")
    assert refusal.value.param == empty.value.param == "prompt"
