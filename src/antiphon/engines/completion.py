"""The client of chat engines that speak llama.cpp's `/tokenize` and `/completion`.

Prompts are rendered here and sent as tokens, so that no text of a user is ever parsed for special tokens.
Answers are always streamed from the engine, whatever the client asked for: closing the connection is what
frees its place at once.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from antiphon.engines import raw, vocabulary
from antiphon.engines.merge import joined, merge
from antiphon.engines.template import ChatTemplate, reviewed
from antiphon.engines.upstream import Upstream
from antiphon.errors import ConfigurationError, EngineFailed
from antiphon.values import (
    ChatJob,
    Delta,
    Deployment,
    FinishReason,
    Function,
    Message,
    Prompt,
    RawPrompt,
    TokenLogprob,
    TopLogprob,
    Usage,
)
from antiphon.wire.completion import CompletionFrame, Probability

_FINISH: dict[str, FinishReason] = {"eos": "stop", "word": "stop", "limit": "length"}
_SEEDS = 2**32 - 1
"""Seeds below it are fixed ones; it itself is llama.cpp's word for "any"."""
_WORD = 1
"""The kind of trigger that is a text, in llama.cpp's numbers."""
_LONG_PROMPT = 65_536
"""Characters from which rendering moves off the event loop."""


class CompletionEngine(ABC):
    """The client of one process. A kind of engine says what is asked to see that it lives, and of what else a
    body consists."""

    alive: str
    """A path that is answered by the loop that computes."""

    def __init__(self, deployment: Deployment, socket: Path) -> None:
        self._deployment = deployment
        self._upstream = Upstream(socket)
        self._vocabulary: vocabulary.Vocabulary | None = None
        self._template: ChatTemplate | None = None

    @abstractmethod
    def body(self, job: ChatJob, prompt: Prompt, index: int) -> dict[str, Any]:
        """The body of `/completion` for one choice. Raises `InvalidRequest` for what the engine cannot do."""

    @contextmanager
    def place(self, job: ChatJob, prompt: Prompt) -> Iterator[dict[str, Any]]:
        """Where in the process one choice is computed, as its body tells; for as long as the block runs."""
        yield {}

    async def probe(self) -> Collection[str]:
        if self._template is None:
            self._vocabulary = await asyncio.to_thread(vocabulary.read, self._deployment.model)
            self._template = self._make_template(self._vocabulary)
        await self._upstream.get(self.alive)
        return ()

    async def close(self) -> None:
        await self._upstream.close()

    @property
    def vocabulary_size(self) -> int:
        """Tokens that the model knows; 0 before the first probe."""
        return self._vocabulary.size if self._vocabulary else 0

    def _make_template(self, facts: vocabulary.Vocabulary) -> ChatTemplate:
        name = self._deployment.options.get("template")
        source = reviewed(str(name)) if name else facts.template
        if not source:
            raise ConfigurationError(
                f"The model '{self._deployment.snapshot}' has no chat template",
                fix="give its entry in models.toml a `template`",
            )
        return ChatTemplate(source, facts.specials, bos=facts.bos, eos=facts.eos)

    async def prepare(self, messages: Sequence[Message], functions: Sequence[Function] = ()) -> Prompt:
        if self._template is None or self._vocabulary is None:
            await self.probe()
        assert self._template is not None and self._vocabulary is not None
        if _characters(messages, functions) < _LONG_PROMPT:
            rendered = self._template.render(messages, functions)
        else:
            rendered = await asyncio.to_thread(self._template.render, messages, functions)
        pieces = rendered.pieces
        facts = self._vocabulary
        if facts.adds_bos and facts.bos and pieces[:1] != [facts.specials[facts.bos]]:
            pieces = [facts.specials[facts.bos], *pieces]
        return Prompt(rendered.text, await raw.tokens(self._upstream, pieces))

    async def tokenize(self, prompts: Sequence[RawPrompt]) -> list[Prompt]:
        if self._vocabulary is None:
            await self.probe()
        assert self._vocabulary is not None
        # One after the other: together they are no more work for the engine than a long conversation is.
        return [await raw.read(self._upstream, self._vocabulary, prompt) for prompt in prompts]

    async def chat(self, job: ChatJob, prompt: Prompt) -> AsyncGenerator[Delta | Usage, None]:
        """See `ChatEngine.chat`; each of the `n` choices is a request of its own to the process."""
        predicted, cached = 0, []
        bodies = [self.body(job, prompt, index) for index in range(job.n)]
        choices = [self._choice(job, prompt, body, index) for index, body in enumerate(bodies)]
        async with aclosing(merge(choices)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Usage):
                    predicted += piece.completion_tokens
                    cached.append(piece.cached_tokens)
                else:
                    yield piece
        # The prompt is one: what the first choice had to compute was not there, though the next found it.
        yield Usage(prompt_tokens=len(prompt.tokens), cached_tokens=min(cached), completion_tokens=predicted)

    async def _choice(
        self, job: ChatJob, prompt: Prompt, body: dict[str, Any], index: int
    ) -> AsyncGenerator[Delta | Usage, None]:
        with self.place(job, prompt) as place:
            async with aclosing(self._upstream.batches("/completion", body | place)) as batches:
                async for batch in batches:
                    frames = [_decode(event) for event in batch]
                    for delta in joined(_delta(job, frame, index) for frame in frames):
                        yield delta
                    if frames[-1].stop:
                        cached = frames[-1].timings.cache_n
                        yield Usage(completion_tokens=frames[-1].tokens_predicted, cached_tokens=cached)
                        return
            raise EngineFailed("The engine ended an answer early.", retry_after=1)


def _characters(messages: Sequence[Message], functions: Sequence[Function]) -> int:
    """About as many as a prompt will have."""
    said = sum(len(message.content) for message in messages)
    called = sum(len(call.arguments) for message in messages for call in message.calls)
    # A function without a schema is a line; one with a schema may be anything.
    return said + called + sum(len(f.description) for f in functions) + _schemas(functions)


def _schemas(functions: Sequence[Function]) -> int:
    return sum(len(msgspec.json.encode(function.parameters)) for function in functions)


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
