"""The client of chat engines that speak llama.cpp's `/tokenize` and `/completion`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Any

import msgspec

from antiphon.engines.client import ChatClient
from antiphon.engines.merge import decoded, joined
from antiphon.engines.upstream import Upstream
from antiphon.errors import EngineFailed
from antiphon.values import ChatJob, Delta, FinishReason, Prompt, TokenLogprob, TopLogprob, Usage
from antiphon.wire.completion import CompletionFrame, Probability, Text, Tokens

_FINISH: dict[str, FinishReason] = {"eos": "stop", "word": "stop", "limit": "length"}
_SEEDS = 2**32 - 1
"""Seeds below it are fixed ones; it itself is llama.cpp's word for "any"."""
_WORD = 1
"""The kind of trigger that is a text, in llama.cpp's numbers."""


class CompletionEngine(ChatClient):
    """The client of one process. A kind of engine says of what else the body of `/completion` consists."""

    @contextmanager
    def place(self, job: ChatJob, prompt: Prompt) -> Iterator[dict[str, Any]]:
        """Where in the process one choice is computed, as its body tells; for as long as the block runs."""
        yield {}

    async def tokens(self, pieces: Sequence[str | int]) -> tuple[int, ...]:
        return await tokenized(self._upstream, pieces)

    async def text(self, tokens: Sequence[int]) -> str:
        answer = await self._upstream.post("/detokenize", {"tokens": tokens})
        return msgspec.json.decode(answer, type=Text).content

    async def choice(
        self, job: ChatJob, prompt: Prompt, body: dict[str, Any], index: int
    ) -> AsyncGenerator[Delta | Usage, None]:
        with self.place(job, prompt) as place:
            async with aclosing(self._upstream.batches("/completion", body | place)) as batches:
                async for batch in batches:
                    frames, problem = decoded(batch, _decode)
                    for delta in joined(_delta(job, frame, index) for frame in frames):
                        yield delta
                    if problem:
                        raise problem
                    if frames[-1].stop:
                        cached = frames[-1].timings.cache_n
                        yield Usage(completion_tokens=frames[-1].tokens_predicted, cached_tokens=cached)
                        return
            raise EngineFailed("The engine ended an answer early.", retry_after=1)


async def tokenized(
    upstream: Upstream, pieces: Sequence[str | int], *, framed: bool = False
) -> tuple[int, ...]:
    """The tokens of texts, none of which can become a special one, and of ids as they are.

    `framed`: with the tokens that the vocabulary puts before and behind a text.
    """
    body = {"content": pieces, "add_special": framed, "parse_special": False}
    answer = await upstream.post("/tokenize", body)
    return tuple(msgspec.json.decode(answer, type=Tokens).tokens)


def common_body(job: ChatJob, prompt: Prompt, index: int, context: int) -> dict[str, Any]:
    """What every engine is told of one choice; seeds are fixed ones, a different one for each choice."""
    body: dict[str, Any] = {
        "prompt": prompt.tokens,
        "stream": True,
        "n_predict": job.max_tokens or context - len(prompt.tokens),
        "temperature": job.temperature,
        "top_p": job.top_p,
        "presence_penalty": job.presence_penalty,
        "frequency_penalty": job.frequency_penalty,
        "stop": list(job.stop),
    }
    if job.seed is not None:
        body["seed"] = (job.seed + index) % _SEEDS
    if job.form is not None:
        body["grammar"] = job.form.grammar
        if job.form.trigger:
            body["grammar_lazy"] = True
            body["grammar_triggers"] = [{"type": _WORD, "value": job.form.trigger}]
    return body


def _decode(event: bytes) -> CompletionFrame:
    try:
        frame = msgspec.json.decode(event, type=CompletionFrame)
    except msgspec.DecodeError:
        raise EngineFailed("The engine sent something unreadable.", retry_after=1) from None
    if frame.error is not None or (frame.stop and frame.stop_type not in _FINISH):
        raise EngineFailed("The engine failed while answering.", retry_after=1)
    return frame


def _delta(job: ChatJob, frame: CompletionFrame, index: int) -> Delta:
    """What a frame says; it may say nothing."""
    finish = _FINISH[frame.stop_type] if frame.stop else None
    logprobs = tuple(_logprob(one, job.top_logprobs) for one in frame.completion_probabilities)
    return Delta(index, frame.content, logprobs, finish, frame.tokens_predicted)


def _logprob(found: Probability, alternatives: int) -> TokenLogprob:
    top = [TopLogprob(t.token, t.logprob, t.bytes) for t in found.top_logprobs[:alternatives]]
    return TokenLogprob(found.token, found.logprob, found.bytes, top)
