"""What the conductors of text share: resolve, enter, acquire, prepare, reserve, generate, settle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager

import msgspec

from antiphon.admission.limits import text_demand
from antiphon.admission.rates import Place, Show
from antiphon.engines.base import ChatEngine
from antiphon.errors import ContextLengthExceeded, RequestTimeout, UnsupportedParameter
from antiphon.inference.attempts import attempted, begun
from antiphon.inference.calls import told
from antiphon.inference.conductor import Conductor, Way, account
from antiphon.inference.continuing import continuation
from antiphon.inference.written import HandedTokens, written
from antiphon.ledger.meter import Bill
from antiphon.ledger.moments import Asked, Endpoint
from antiphon.pools.pool import Pool
from antiphon.pools.pools import Incapable
from antiphon.spans import span
from antiphon.values import Caller, ChatJob, Delta, Feature, Prompt, Snapshot, Usage

BEGINNING = 1024
"""Characters by which prompts are taken for the same at their beginning."""
BEGINNING_TOKENS = 256
_PARAMETERS: dict[Feature, str] = {"grammar": "response_format", "lazy_grammar": "tools"}
"""What a request says that it needs by another name."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a request puts before a model."""

    endpoint: Endpoint
    param: str
    """The field that says it."""
    prompts: int
    tokens: int
    """A guess of how many the prompts have together, before they are counted."""
    beginning: str
    """Of what is read: others with the same are best computed where this one was."""
    prepare: Callable[[ChatEngine], Awaitable[list[Prompt]]]
    """Reads the prompts as the engine does."""


class Answer(msgspec.Struct, frozen=True):
    """An answer on its way: what gives it, what it answers, and its pieces as they come, last one `Usage`.

    `fingerprint` changes whenever anything changes that may change answers.

    The last piece is given once the answer is paid. Whoever streams calls `handed` for each frame that was
    handed to the client, with the piece that it shows (None for one without text): so much is paid if the
    answer goes no further. `charged` says whether the whole is paid, or may be yet, once the block was left.
    """

    snapshot: Snapshot
    fingerprint: str
    prompts: Sequence[Prompt]
    pieces: AsyncGenerator[Delta | Usage, None]
    handed: Callable[[Delta | None], None]
    charged: Callable[[], bool]
    began_at: float
    """Unix seconds."""


class Generation(Conductor):
    """Conducts what a model writes, for one prompt or several."""

    @asynccontextmanager
    async def generated(
        self, caller: Caller, job: ChatJob, reading: Reading, request_id: str, show: Show
    ) -> AsyncIterator[Answer]:
        """What is written after each prompt, as `job` says, for as long as the block runs.

        Leaving it early cancels the generation. `show` is told how the caller stands against its limits.
        Raises any of `AntiphonError`, in the block as well: a deadline, a failing engine or a ledger that
        cannot be written may end an answer midway.
        """
        asked, began_at = Asked(job.model, reading.endpoint), time.time()
        job = msgspec.structs.replace(job, organization=caller.tenant)
        way = self._way_of(caller, self._resolve(caller, job.model, "chat"), job, reading)
        pool, snapshot = way.pool, way.snapshot
        try:
            async with (
                asyncio.timeout(self._settings.chat_seconds) as deadline,
                self._gate.enter(
                    caller,
                    way.name,
                    lambda: pool.capacity,
                    _places(job, reading, pool),
                    text_demand(job, reading.tokens, reading.prompts),
                    show,
                    courteous=way.limited,  # else others would wait for the ends of one's long answers
                    rated_as=snapshot.id if way.limited else None,
                ) as place,
            ):
                asked.moments.let_in()
                beginning = (caller.organization_id, reading.beginning)
                prepared = begun(pool, lambda engine, _: reading.prepare(engine), beginning, deadline)
                async with prepared as (lease, prompts):
                    read = sum(prompt.length for prompt in prompts)
                    await place.correct(text_demand(job, read, reading.prompts).tokens)
                    context = lease.deployment.context
                    jobs = [_fitted(job, prompt, context, reading.param) for prompt in prompts]
                    most = _most(jobs, prompts, context)
                    async with self._meter.open(request_id, account(caller), snapshot, most, asked) as bill:
                        handed = HandedTokens(bill, prompts, job.n, counts=pool.kind.counts)
                        then = continuation(jobs, prompts, context)
                        text = attempted(
                            pool, lease, lambda engine: written(engine, jobs, prompts), beginning, then
                        )
                        if job.functions and not pool.kind.tells_calls:
                            text = told(text, job.n)
                        pieces = self._settled(snapshot, text, bill, place, deadline)
                        async with aclosing(pieces):
                            yield Answer(
                                snapshot,
                                lease.fingerprint,
                                prompts,
                                pieces,
                                handed,
                                lambda: bill.charged,
                                began_at,
                            )
        except TimeoutError:
            raise RequestTimeout("The answer took too long.") from None

    def _way_of(self, caller: Caller, snapshot: Snapshot, job: ChatJob, reading: Reading) -> Way:
        """The way of a job. Raises `UnsupportedParameter` if no engine of the snapshot can do it."""
        try:
            return self._way(
                caller, snapshot, job.needs, job.wishes, lambda pool: _places(job, reading, pool)
            )
        except Incapable as problem:
            parameter = _PARAMETERS.get(problem.feature, problem.feature)
            if parameter == "response_format" and job.functions:
                parameter = "tools"
            raise UnsupportedParameter(
                f"No engine that serves '{snapshot.id}' here supports this use of '{parameter}'.",
                param=parameter,
            ) from None

    async def _settled(
        self,
        snapshot: Snapshot,
        pieces: AsyncGenerator[Delta | Usage, None],
        bill: Bill,
        place: Place,
        deadline: asyncio.Timeout,
    ) -> AsyncGenerator[Delta | Usage, None]:
        """The pieces, observed; all of them are paid before the last is given."""
        began, first = time.monotonic(), True
        bill.moments.engine()
        with span("engine", snapshot=snapshot.id) as noted:
            async with aclosing(pieces):
                async for piece in pieces:
                    if first:
                        bill.moments.first()
                        waited = time.monotonic() - began
                        self._metrics.first_token.labels(snapshot.id).observe(waited)
                        noted.facts["first_token_seconds"] = waited
                        first = False
                    if isinstance(piece, Usage):
                        self._metrics.tokens.labels(snapshot.id, "prompt").inc(piece.prompt_tokens)
                        self._metrics.tokens.labels(snapshot.id, "completion").inc(piece.completion_tokens)
                        noted.facts |= {"prompt_tokens": piece.prompt_tokens}
                        noted.facts |= {"completion_tokens": piece.completion_tokens}
                        await place.correct(piece.prompt_tokens + piece.completion_tokens)
                        # What is being charged must not end as a timeout: settling has a deadline of its own.
                        deadline.reschedule(None)
                        with span("settle"):
                            await bill.settle(piece)
                        yield piece
                        return
                    yield piece


def _places(job: ChatJob, reading: Reading, pool: Pool) -> int:
    """Slots that a request takes in all."""
    # What each choice may grow to, as far as it can be guessed before the prompt is read.
    length = reading.tokens // reading.prompts + (job.max_tokens or pool.deployment.context)
    return job.n * reading.prompts * pool.weight(length)


def _fitted(job: ChatJob, prompt: Prompt, context: int, param: str) -> ChatJob:
    """The job with its answer bounded by the context. Raises `ContextLengthExceeded`: nothing is cut off.

    Whether a prompt fits that the engine cannot count is for the engine to find, and what is left beside it.
    """
    used = prompt.length if prompt.counted else 1
    wanted = job.max_tokens
    if used >= context or (wanted is not None and used + wanted > context):
        raise ContextLengthExceeded(limit=context, prompt=prompt.length, completion=wanted or 0, param=param)
    if wanted is not None or not prompt.counted:
        return job
    return msgspec.structs.replace(job, max_tokens=context - used)


def _most(jobs: Sequence[ChatJob], prompts: Sequence[Prompt], context: int) -> Usage:
    """What is read and written at most for fitted jobs; an answer without a limit ends with the context."""
    written = (context if job.max_tokens is None else job.max_tokens for job in jobs)
    return Usage(
        prompt_tokens=sum(prompt.longest for prompt in prompts),
        completion_tokens=sum(tokens * job.n for tokens, job in zip(written, jobs, strict=True)),
    )
