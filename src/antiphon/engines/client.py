"""What the clients of all chat engines have in common: prompts rendered here, and `n` answers read as one.

Prompts are sent as tokens, so that no text of a user is ever parsed for special tokens. Answers are always
streamed from the engine, whatever the client asked for: closing the connection frees its place at once.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Any

import msgspec

from antiphon.address import Address
from antiphon.engines import raw, vocabulary
from antiphon.engines.merge import merge
from antiphon.engines.template import ChatTemplate, reviewed
from antiphon.engines.upstream import Upstream
from antiphon.engines.vocabulary import Vocabulary
from antiphon.errors import ConfigurationError, EngineRefused, InvalidRequest
from antiphon.values import ChatJob, Delta, Deployment, Function, Message, Prompt, RawPrompt, Usage

_LONG_PROMPT = 65_536
"""Characters from which rendering moves off the event loop."""


class ChatClient(ABC):
    """The client of one process. A kind of engine says what is asked to see that it lives, how text becomes
    tokens, and how one choice is asked for."""

    alive: str
    """A path that is answered by the loop that computes."""

    def __init__(self, deployment: Deployment, address: Address) -> None:
        self._deployment = deployment
        self._upstream = Upstream(address)
        self._vocabulary: Vocabulary | None = None
        self._template: ChatTemplate | None = None

    @abstractmethod
    def body(self, job: ChatJob, prompt: Prompt, index: int) -> dict[str, Any]:
        """What the engine is told of one choice. Raises `InvalidRequest` for what it cannot do."""

    @abstractmethod
    def choice(
        self, job: ChatJob, prompt: Prompt, body: dict[str, Any], index: int
    ) -> AsyncGenerator[Delta | Usage, None]:
        """The pieces of one choice, last its `Usage`. Raises `EngineFailed`."""

    @abstractmethod
    async def tokens(self, pieces: Sequence[str | int]) -> tuple[int, ...]:
        """The tokens of texts, none of which can become a special one, and of ids as they are."""

    @abstractmethod
    async def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens that the vocabulary has, without those that steer the model."""

    def read(self) -> Vocabulary:
        """What is to be known of the model's vocabulary; called once, in a thread."""
        return vocabulary.read(self._deployment.model)

    async def probe(self) -> Collection[str]:
        if self._template is None:
            self._vocabulary = await asyncio.to_thread(self.read)
            self._template = self._make_template(self._vocabulary)
        await self._upstream.get(self.alive)
        return ()

    async def close(self) -> None:
        await self._upstream.close()

    def _make_template(self, facts: Vocabulary) -> ChatTemplate:
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
        return Prompt(rendered.text, await self.tokens(pieces))

    async def tokenize(self, prompts: Sequence[RawPrompt]) -> list[Prompt]:
        if self._vocabulary is None:
            await self.probe()
        assert self._vocabulary is not None
        # One after the other: together they are no more work for the engine than a long conversation is.
        return [await raw.read(self, self._vocabulary, prompt) for prompt in prompts]

    async def continued(self, prompt: Prompt, text: str) -> Prompt:
        return Prompt(prompt.text + text, prompt.tokens + await self.tokens([text]))

    async def chat(self, job: ChatJob, prompt: Prompt) -> AsyncGenerator[Delta | Usage, None]:
        """See `ChatEngine.chat`; each of the `n` choices is a request of its own to the process."""
        predicted, cached = 0, []
        bodies = [self.body(job, prompt, index) for index in range(job.n)]
        choices = [self.choice(job, prompt, body, index) for index, body in enumerate(bodies)]
        with _refusals(job):
            async with aclosing(merge(choices)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Usage):
                        predicted += piece.completion_tokens
                        cached.append(piece.cached_tokens)
                    else:
                        yield piece
        # The prompt is one: what the first choice had to compute was not there, though the next found it.
        yield Usage(prompt_tokens=len(prompt.tokens), cached_tokens=min(cached), completion_tokens=predicted)

    def refuse_unknown_tokens(self, job: ChatJob) -> None:
        """Raise `InvalidRequest` for a bias on a token that does not exist, which engines pass over."""
        size = self._vocabulary.size if self._vocabulary else 0
        for token in job.logit_bias:
            if token >= size:
                raise InvalidRequest(
                    f"Invalid value for 'logit_bias': this model has no token {token} (0 to {size - 1}).",
                    param="logit_bias",
                    code="invalid_value",
                )


@contextmanager
def _refusals(job: ChatJob) -> Iterator[None]:
    """What an engine refuses of a request that was checked is the form, if there is one."""
    try:
        yield
    except EngineRefused:
        if job.form is None:
            raise
        raise InvalidRequest(
            "The engine cannot hold an answer to this form.",
            param="tools" if job.functions else "response_format",
            code="invalid_value",
        ) from None


def _characters(messages: Sequence[Message], functions: Sequence[Function]) -> int:
    """About as many as a prompt will have."""
    said = sum(len(message.content) for message in messages)
    called = sum(len(call.arguments) for message in messages for call in message.calls)
    # A function without a schema is a line; one with a schema may be anything.
    return said + called + sum(len(f.description) for f in functions) + _schemas(functions)


def _schemas(functions: Sequence[Function]) -> int:
    return sum(len(msgspec.json.encode(function.parameters)) for function in functions)
