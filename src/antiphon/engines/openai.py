"""Chat at a URL: any server of OpenAI's API, which somebody else runs (docs/decisions/0033-upstreams.md).

It reads and renders conversations itself. Answers are always streamed from it, whatever the client asked for:
closing the connection frees its place at once.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from contextlib import aclosing, contextmanager
from itertools import chain
from typing import Any, get_args

import msgspec

from antiphon.address import Address
from antiphon.engines import openai_body, remote
from antiphon.engines.base import EngineKind
from antiphon.engines.dialects import Dialect, dialect
from antiphon.engines.merge import decoded, joined, merge
from antiphon.engines.openai_answer import Reading, refusal
from antiphon.engines.upstream import Upstream
from antiphon.errors import (
    ConfigurationError,
    EngineFailed,
    EngineRefused,
    InvalidRequest,
    UnsupportedParameter,
)
from antiphon.settings import Settings
from antiphon.values import ChatJob, Delta, Deployment, Feature, Function, Message, Prompt, RawPrompt, Usage
from antiphon.wire.openai import Meant, Models

_TEMPLATE = 256
"""Bytes that a template may add of its own to what a conversation has as JSON."""
_BYTES_PER_TOKEN = 4
"""About, of text."""
_COUNT_SECONDS = 10.0
"""For counting a prompt; then it is answered without."""
LIST_SECONDS = 30.0
"""Between two looks at a server's list of models, which asks for the key, unless a chat is refused before."""

log = logging.getLogger("antiphon.engines")


class OpenAIEngine:
    """The client of one server, for one of its models."""

    def __init__(self, deployment: Deployment, address: Address) -> None:
        assert deployment.site is not None
        self._deployment = deployment
        self._model = deployment.site.model
        self._base = address.base
        # What stands beside the API is known where that has its usual place alone.
        self._root = address.base.removesuffix("/v1") if address.base.endswith("/v1") else None
        self._upstream = Upstream(address, refusal)
        self._dialect: Dialect | None = None
        self._alive = f"{address.base}/models"
        self._sure_until = -math.inf
        """Until when the key and the model count as seen, in monotonic seconds: what is asked whether it is
        well may know neither."""

    async def probe(self) -> Collection[str]:
        """See `Engine.probe`. Raises `ConfigurationError` for a key that is refused, or a model not there."""
        if time.monotonic() < self._sure_until:
            await self._upstream.get(self._alive)
            return ()
        listed = find(await self._upstream.get(f"{self._base}/models"), self._model)
        if listed.max_model_len is not None and listed.max_model_len < self._deployment.context:
            raise ConfigurationError(
                f"'{self._model}' has a context of {listed.max_model_len} tokens where it is served",
                fix=f"in models.toml, give '{self._deployment.snapshot}' no larger one",
            )
        found = dialect(listed) if self._root is not None else Dialect()
        if found.alive:
            try:
                await self._upstream.get(f"{self._root}{found.alive}")
                self._alive = f"{self._root}{found.alive}"
            except ConfigurationError:
                log.info("'%s' is only known to live by its list of models", self._deployment.snapshot)
        self._dialect = found
        self._sure_until = time.monotonic() + LIST_SECONDS
        return ()

    async def close(self) -> None:
        await self._upstream.close()

    async def prepare(self, messages: Sequence[Message], functions: Sequence[Function] = ()) -> Prompt:
        """As the server counts it; if it does not, a bound: of what a vocabulary of bytes has, each token is
        at least one byte."""
        if (tokens := await self._counted(messages, functions)) is not None:
            return Prompt("", tokens)
        said = [openai_body.messages(messages), openai_body.tools(functions)]
        size = len(msgspec.json.encode(said))
        most = min(size + _TEMPLATE, self._deployment.context)
        return Prompt("", (), about=min(most, size // _BYTES_PER_TOKEN), at_most=most)

    async def _counted(
        self, messages: Sequence[Message], functions: Sequence[Function]
    ) -> tuple[int, ...] | None:
        """None where they cannot be had. What is wrong shows when the conversation is to be answered."""
        found = self._dialect
        if found is None or found.count is None or self._root is None:
            return None
        try:
            async with asyncio.timeout(_COUNT_SECONDS):
                tokens = await found.count(self._upstream, self._root, self._model, (messages, functions))
        except ConfigurationError:
            log.info("prompts of '%s' cannot be counted where it is served", self._deployment.snapshot)
            self._dialect = msgspec.structs.replace(found, count=None)
            return None
        except (EngineFailed, TimeoutError):
            return None
        return None if tokens is None else tuple(tokens)

    async def tokenize(self, prompts: Sequence[RawPrompt]) -> list[Prompt]:
        raise UnsupportedParameter(
            "This model answers chat requests alone.", param="model", code="unsupported_value"
        )

    async def continued(self, prompt: Prompt, text: str) -> Prompt:
        raise EngineFailed("An answer broke off that no other server can go on with.", retry_after=1)

    async def chat(self, job: ChatJob, prompt: Prompt) -> AsyncGenerator[Delta | Usage, None]:
        """See `ChatEngine.chat`; each of the `n` choices is a request of its own to the server."""
        read, cached, written = 0, [], 0
        more = self._dialect.more(job) if self._dialect is not None else {}
        bodies = [openai_body.body(job, self._model, index) | more for index in range(job.n)]
        choices = [self._choice(prompt, body, index) for index, body in enumerate(bodies)]
        with self._our_fault(), _refusals(job):
            async with aclosing(merge(choices)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Usage):
                        read = max(read, piece.prompt_tokens)
                        written += piece.completion_tokens
                        cached.append(piece.cached_tokens)
                    else:
                        yield piece
        # The prompt is one: what the first choice had to compute was not there, though the next found it.
        yield Usage(prompt_tokens=read, cached_tokens=min(cached), completion_tokens=written)

    async def _choice(
        self, prompt: Prompt, body: dict[str, Any], index: int
    ) -> AsyncGenerator[Delta | Usage, None]:
        reading = Reading(index)
        async with aclosing(self._upstream.batches(f"{self._base}/chat/completions", body)) as batches:
            async for batch in batches:
                taken, problem = decoded(batch, reading.take)
                for delta in joined(chain.from_iterable(taken)):
                    yield delta
                if problem is not None:
                    raise problem
                if reading.ended:
                    break
        yield reading.usage(prompt.length)

    @contextmanager
    def _our_fault(self) -> Iterator[None]:
        """A key that is refused, or a model that is not there, is nothing that the client could mend.

        The next probe looks for both.
        """
        try:
            yield
        except ConfigurationError as problem:
            self._sure_until = -math.inf
            log.error("'%s' cannot be asked: %s", self._deployment.snapshot, problem.message)
            raise EngineFailed("The model cannot be asked at the moment.", retry_after=1) from None


def find(answer: bytes, model: str) -> Meant:
    """The model in a server's list. Raises `ConfigurationError` if it is not there, and `EngineFailed`."""
    try:
        listed = msgspec.json.decode(answer, type=Models).data
    except msgspec.DecodeError:
        raise EngineFailed("The engine sent something unreadable.", retry_after=1) from None
    for one in listed:
        if one.id == model:
            return one
    raise ConfigurationError(f"No model '{model}' is served there", fix="in models.toml, mend `model`")


@contextmanager
def _refusals(job: ChatJob) -> Iterator[None]:
    """What a server refuses of a request that was checked is told as what it is: a request at fault."""
    try:
        yield
    except EngineRefused:
        param = None if job.form is None else "tools" if job.functions else "response_format"
        raise InvalidRequest(
            "The model cannot answer this request as it is.", param=param, code="invalid_value"
        ) from None


def _connect(deployments: Sequence[Deployment], settings: Settings, address: Address) -> OpenAIEngine:
    [deployment] = deployments
    return OpenAIEngine(deployment, address)


ENGINE = EngineKind(
    name="openai",
    task="chat",
    reads=frozenset({"upstream"}),
    tells_calls=True,
    reached=remote.reached,
    connect=_connect,
    features=frozenset(get_args(Feature)) - {"seed"},
)
