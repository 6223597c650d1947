"""The conductor of embeddings: resolve, enter, acquire, tokenize, reserve, embed, settle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial

import msgspec

from antiphon.admission.limits import Demand, guessed_tokens
from antiphon.admission.rates import Show
from antiphon.engines.base import EmbeddingEngine
from antiphon.errors import ContextLengthExceeded, EngineFailed, InvalidRequest, RequestTimeout
from antiphon.inference.attempts import attempted, begun
from antiphon.inference.conductor import Conductor, account
from antiphon.ledger.meter import Bill
from antiphon.ledger.moments import Asked
from antiphon.values import Caller, EmbeddingJob, RawPrompt, Snapshot, Usage

MOST_TOKENS = 300_000
"""Tokens of all inputs of one request together."""
_FLOAT = 4
"""Bytes of a number in a vector."""


class Embedded(msgspec.Struct, frozen=True):
    """A vector for each input, in their order: little-endian 32-bit floats, as many as the model makes."""

    vectors: Sequence[bytes]
    usage: Usage


class EmbeddingAnswer(msgspec.Struct, frozen=True):
    """An answer on its way. `embedded` makes the whole, once, and returns when it is paid.

    `charged` says whether it is paid, or may be yet, once the block was left.
    """

    snapshot: Snapshot
    embedded: Callable[[], Awaitable[Embedded]]
    charged: Callable[[], bool]


class Embeddings(Conductor):
    """Makes vectors of texts."""

    @asynccontextmanager
    async def answer(
        self, caller: Caller, job: EmbeddingJob, request_id: str, show: Show
    ) -> AsyncIterator[EmbeddingAnswer]:
        """The answer to `job`, for as long as the block runs; leaving it early cancels the work.

        Of several inputs, all take one place: the engine has a step's worth of them at a time. `show` is told
        how the caller stands against its limits. Raises any of `AntiphonError`, in the block as well.
        """
        asked = Asked(job.model, "embeddings")
        way = self._way(caller, self._resolve(caller, job.model, "embedding"))
        pool, snapshot = way.pool, way.snapshot
        _check_dimensions(job, snapshot)
        demand = Demand(tokens=_guessed(job.inputs))
        try:
            async with (
                asyncio.timeout(self._settings.chat_seconds) as deadline,
                self._gate.enter(
                    caller,
                    way.name,
                    lambda: pool.capacity,
                    1,
                    demand,
                    show,
                    rated_as=snapshot.id if way.limited else None,
                ) as place,
            ):
                asked.moments.let_in()
                async with begun(
                    pool, lambda engine, _: _tokenized(engine, job.inputs), deadline=deadline
                ) as (lease, inputs):
                    usage = Usage(prompt_tokens=_checked(inputs, lease.deployment.context))
                    await place.correct(usage.prompt_tokens)
                    async with self._meter.open(request_id, account(caller), snapshot, usage, asked) as bill:
                        made = attempted(pool, lease, lambda engine: _whole(engine, inputs))
                        embedded = partial(self._embedded, snapshot, made, len(inputs), usage, bill, deadline)
                        yield EmbeddingAnswer(snapshot, embedded, lambda: bill.charged)
        except TimeoutError:
            raise RequestTimeout("The embeddings took too long.") from None

    async def _embedded(
        self,
        snapshot: Snapshot,
        made: AsyncGenerator[Sequence[bytes], None],
        inputs: int,
        usage: Usage,
        bill: Bill,
        deadline: asyncio.Timeout,
    ) -> Embedded:
        bill.moments.engine()
        async with aclosing(made):
            vectors = await anext(made)
        bill.moments.first()
        length = max(snapshot.dimensions) * _FLOAT
        if len(vectors) != inputs or any(len(vector) != length for vector in vectors):
            raise EngineFailed("The engine's vectors are not those that the catalogue promises.")
        self._metrics.tokens.labels(snapshot.id, "prompt").inc(usage.prompt_tokens)
        # What is being charged must not end as a timeout: settling has a deadline of its own.
        deadline.reschedule(None)
        await bill.settle(usage)
        return Embedded(vectors, usage)


async def _tokenized(engine: EmbeddingEngine, inputs: Sequence[RawPrompt]) -> list[tuple[int, ...]]:
    return await engine.tokenize(inputs)


async def _whole(
    engine: EmbeddingEngine, inputs: Sequence[tuple[int, ...]]
) -> AsyncGenerator[Sequence[bytes], None]:
    """All vectors, as one piece: nobody sees one before the last is there, so all may be made anew."""
    async with aclosing(engine.embed(inputs)) as vectors:
        yield [vector async for vector in vectors]


def _check_dimensions(job: EmbeddingJob, snapshot: Snapshot) -> None:
    if job.dimensions is None or job.dimensions in snapshot.dimensions:
        return
    lengths = ", ".join(map(str, snapshot.dimensions))
    raise InvalidRequest(
        f"Invalid value for 'dimensions': the model '{job.model}' was not made for vectors of "
        f"{job.dimensions} numbers, but of {lengths}.",
        param="dimensions",
        code="invalid_value",
    )


def _guessed(inputs: Sequence[RawPrompt]) -> int:
    texts = guessed_tokens(one for one in inputs if isinstance(one, str))
    return texts + sum(len(one) for one in inputs if not isinstance(one, str))


def _checked(inputs: Sequence[tuple[int, ...]], context: int) -> int:
    """Tokens of all inputs. Raises `InvalidRequest` for too many, in one or in all: nothing is cut off."""
    if (longest := max(map(len, inputs))) > context:
        raise ContextLengthExceeded(limit=context, prompt=longest, param="input")
    if (tokens := sum(map(len, inputs))) > MOST_TOKENS:
        raise InvalidRequest(
            f"Invalid value for 'input': {tokens} tokens are more than the {MOST_TOKENS} that a request may "
            "have.",
            param="input",
            code="invalid_value",
        )
    return tokens
