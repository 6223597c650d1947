"""llama.cpp through `xllamacpp`: any GGUF model, in a process that runs llama.cpp's own HTTP server.

Prompts are rendered here and sent as tokens to `/completion`, so that no text of a user is ever parsed for
special tokens. Answers are always streamed from the engine, whatever the client asked for: llama.cpp frees
a slot at once only when a stream's connection closes.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import msgspec

from antiphon.engines import raw, vocabulary
from antiphon.engines.base import EngineKind
from antiphon.engines.merge import merge
from antiphon.engines.template import ChatTemplate, reviewed
from antiphon.engines.upstream import Upstream
from antiphon.errors import ConfigurationError, EngineFailed, InvalidRequest
from antiphon.settings import Settings
from antiphon.values import (
    ChatJob,
    Delta,
    Deployment,
    Feature,
    FinishReason,
    Function,
    Message,
    Prompt,
    RawPrompt,
    TokenLogprob,
    TopLogprob,
    Usage,
)

_FINISH: dict[str, FinishReason] = {"eos": "stop", "word": "stop", "limit": "length"}
_RANDOM_SEED = 2**32 - 1
"""The seed that llama.cpp takes as "any"; those below it are fixed."""
_WORD = 1
"""The kind of trigger that is a text, in llama.cpp's numbers."""
_LONG_PROMPT = 65_536
"""Characters from which rendering moves off the event loop."""


class _Probability(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[_Probability] = []


class _Timings(msgspec.Struct, frozen=True):
    cache_n: int = 0


class _Frame(msgspec.Struct):
    """One event of `/completion`, with the tokens generated so far; the last has `stop` set."""

    content: str = ""
    stop: bool = False
    stop_type: str = ""
    tokens_predicted: int = 0
    completion_probabilities: list[_Probability] = []
    timings: _Timings = _Timings()
    error: Any = None


class _Tokens(msgspec.Struct):
    tokens: list[int]


class LlamaEngine:
    """The client of one llama.cpp process."""

    def __init__(self, deployment: Deployment, socket: Path) -> None:
        self._deployment = deployment
        self._upstream = Upstream(socket)
        self._vocabulary: vocabulary.Vocabulary | None = None
        self._template: ChatTemplate | None = None

    async def probe(self) -> Collection[str]:
        if self._template is None:
            self._vocabulary = await asyncio.to_thread(vocabulary.read, self._deployment.model)
            self._template = self._make_template(self._vocabulary)
        # Unlike /health and /slots, this is answered by the loop that computes.
        await self._upstream.get("/lora-adapters")
        return ()

    async def close(self) -> None:
        await self._upstream.close()

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
        if sum(len(m.content) for m in messages) < _LONG_PROMPT:
            rendered = self._template.render(messages, functions)
        else:
            rendered = await asyncio.to_thread(self._template.render, messages, functions)
        pieces = rendered.pieces
        facts = self._vocabulary
        if facts.adds_bos and facts.bos and pieces[:1] != [facts.specials[facts.bos]]:
            pieces = [facts.specials[facts.bos], *pieces]
        answer = await self._upstream.post(
            "/tokenize", {"content": pieces, "add_special": False, "parse_special": False}
        )
        return Prompt(rendered.text, tuple(msgspec.json.decode(answer, type=_Tokens).tokens))

    async def tokenize(self, prompts: Sequence[RawPrompt]) -> list[Prompt]:
        if self._vocabulary is None:
            await self.probe()
        assert self._vocabulary is not None
        # One after the other: together they are no more work for the engine than a long conversation is.
        return [await raw.read(self._upstream, self._vocabulary, prompt) for prompt in prompts]

    async def chat(self, job: ChatJob, prompt: Prompt) -> AsyncGenerator[Delta | Usage, None]:
        """See `ChatEngine.chat`; each of the `n` choices is a request of its own to llama.cpp."""
        self._check_bias(job)
        predicted = cached = 0
        choices = [self._choice(job, prompt, index) for index in range(job.n)]
        async with aclosing(merge(choices)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Usage):
                    predicted += piece.completion_tokens
                    cached = max(cached, piece.cached_tokens)
                else:
                    yield piece
        yield Usage(prompt_tokens=len(prompt.tokens), cached_tokens=cached, completion_tokens=predicted)

    def _check_bias(self, job: ChatJob) -> None:
        """llama.cpp passes over ids that the vocabulary does not have; a client must be told."""
        size = self._vocabulary.size if self._vocabulary else 0
        for token in job.logit_bias:
            if token >= size:
                raise InvalidRequest(
                    f"Invalid value for 'logit_bias': this model has no token {token} (0 to {size - 1}).",
                    param="logit_bias",
                    code="invalid_value",
                )

    async def _choice(self, job: ChatJob, prompt: Prompt, index: int) -> AsyncGenerator[Delta | Usage, None]:
        body = completion_body(job, prompt, index, self._deployment.context)
        async with aclosing(self._upstream.events("/completion", body)) as events:
            async for event in events:
                frame = _decode(event)
                finish = _FINISH.get(frame.stop_type) if frame.stop else None
                logprobs = tuple(_logprob(p, job.top_logprobs) for p in frame.completion_probabilities)
                if frame.content or logprobs or finish:
                    yield Delta(index, frame.content, logprobs, finish, frame.tokens_predicted)
                if finish:
                    yield Usage(completion_tokens=frame.tokens_predicted, cached_tokens=frame.timings.cache_n)
                    return
        raise EngineFailed("The engine ended an answer early.", retry_after=1)


def _decode(event: bytes) -> _Frame:
    try:
        frame = msgspec.json.decode(event, type=_Frame)
    except msgspec.DecodeError:
        raise EngineFailed("The engine sent something unreadable.", retry_after=1) from None
    if frame.error is not None or (frame.stop and frame.stop_type not in _FINISH):
        raise EngineFailed("The engine failed while answering.", retry_after=1)
    return frame


def completion_body(job: ChatJob, prompt: Prompt, index: int, context: int) -> dict[str, Any]:
    """The body of `/completion`. Samplers that the API does not know are switched off."""
    body: dict[str, Any] = {
        "prompt": prompt.tokens,
        "stream": True,
        # A frame for every step of a long prompt: writing them is how llama.cpp notices that nobody listens.
        "return_progress": True,
        "n_predict": job.max_tokens or context - len(prompt.tokens),
        "temperature": job.temperature,
        "top_p": job.top_p,
        "top_k": 0,
        "min_p": 0.0,
        "presence_penalty": job.presence_penalty,
        "frequency_penalty": job.frequency_penalty,
        "repeat_last_n": context,
        "stop": list(job.stop),
        "logit_bias": [[token, bias] for token, bias in job.logit_bias.items()],
    }
    if job.seed is not None:
        body["seed"] = (job.seed + index) % _RANDOM_SEED
    if job.form is not None:
        body["grammar"] = job.form.grammar
        if job.form.trigger:
            body["grammar_lazy"] = True
            body["grammar_triggers"] = [{"type": _WORD, "value": job.form.trigger}]
            # In case that it is one token, which has to be asked for by name.
            body["preserved_tokens"] = [job.form.trigger]
    if job.logprobs:
        body["n_probs"] = max(1, job.top_logprobs)
    return body


def _logprob(found: _Probability, alternatives: int) -> TokenLogprob:
    top = [TopLogprob(t.token, t.logprob, t.bytes) for t in found.top_logprobs[:alternatives]]
    return TokenLogprob(found.token, found.logprob, found.bytes, top)


def _command(deployments: Sequence[Deployment], settings: Settings, socket: Path) -> list[str]:
    [deployment] = deployments
    return [
        sys.executable, "-m", "antiphon.workers.llama",
        "--socket", str(socket),
        "--model", str(deployment.model),
        "--context", str(deployment.context),
        "--slots", str(deployment.slots),
        "--threads", str(settings.threads or os.cpu_count() or 1),
    ]  # fmt: skip


def _connect(deployments: Sequence[Deployment], settings: Settings, socket: Path) -> LlamaEngine:
    [deployment] = deployments
    return LlamaEngine(deployment, socket)


ENGINE = EngineKind(
    name="llama",
    task="chat",
    command=_command,
    connect=_connect,
    version=version("xllamacpp"),
    features=frozenset(get_args(Feature)),
)
