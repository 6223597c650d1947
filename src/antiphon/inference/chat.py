"""The conductor of chat requests: resolve, enter, acquire, prepare, reserve, generate, settle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import cast

import msgspec

from antiphon.admission.limits import chat_demand
from antiphon.admission.rates import Place, Show
from antiphon.engines.base import ChatEngine
from antiphon.errors import ContextLengthExceeded, RequestTimeout, UnsupportedParameter
from antiphon.inference.calls import told
from antiphon.inference.conductor import Conductor, account
from antiphon.ledger.meter import Bill
from antiphon.pools.pool import Incapable, Pool
from antiphon.values import Caller, ChatJob, Delta, Feature, Prompt, Snapshot, Usage

_PARAMETERS: dict[Feature, str] = {"grammar": "response_format", "lazy_grammar": "tools"}
"""What a request says that it needs by another name."""


class ChatAnswer(msgspec.Struct, frozen=True):
    """An answer on its way: what gives it, and its pieces as they come, last one `Usage`.

    The last piece is given once the answer is paid. Whoever streams calls `handed` for each frame that was
    handed to the client, with the piece that it shows (None for one without text): so much is paid if the
    answer goes no further. `charged` says whether the whole is paid, or may be yet, once the block was left.
    """

    snapshot: Snapshot
    pieces: AsyncGenerator[Delta | Usage, None]
    handed: Callable[[Delta | None], None]
    charged: Callable[[], bool]


class Chat(Conductor):
    """Answers chat requests; one streaming path serves streamed and whole answers alike."""

    @asynccontextmanager
    async def answer(
        self, caller: Caller, job: ChatJob, request_id: str, show: Show
    ) -> AsyncIterator[ChatAnswer]:
        """The answer to `job`, for as long as the block runs; leaving it early cancels the generation.

        `show` is told how the caller stands against its limits. Raises any of `AntiphonError`, in the block
        as well: a deadline, a failing engine or a ledger that cannot be written may end an answer midway.
        """
        snapshot = self._resolve(job.model, "chat")
        job = msgspec.structs.replace(job, organization=caller.organization_id)
        pool = self._pool(snapshot, job)
        try:
            async with (
                asyncio.timeout(self._settings.chat_seconds) as deadline,
                self._gate.enter(
                    caller,
                    pool.deployment.name,
                    lambda: pool.capacity,
                    job.n,
                    chat_demand(job),
                    show,
                    rated_as=snapshot.id,
                ) as place,
            ):
                with pool.acquire() as lease:
                    engine = cast(ChatEngine, lease.engine)
                    prompt = await engine.prepare(job.messages, job.functions)
                    await place.correct(chat_demand(job, len(prompt.tokens)).tokens)
                    fitted = _fitted(job, prompt, snapshot.context)
                    most = _most(fitted, prompt)
                    async with self._meter.open(request_id, account(caller), snapshot, most) as bill:
                        handed = HandedTokens(bill, len(prompt.tokens), job.n, counts=pool.kind.counts)
                        written = engine.chat(fitted, prompt)
                        if job.functions:
                            written = told(written, job.n)
                        pieces = self._settled(snapshot, written, bill, place, deadline)
                        async with aclosing(pieces):
                            yield ChatAnswer(snapshot, pieces, handed, lambda: bill.charged)
        except TimeoutError:
            raise RequestTimeout("The answer took too long.") from None

    def _pool(self, snapshot: Snapshot, job: ChatJob) -> Pool:
        """The engine for a job. Raises `UnsupportedParameter` if none of the snapshot's can do it."""
        try:
            pool = self._pools.get(snapshot.id, job.needs)
        except Incapable as problem:
            parameter = _PARAMETERS.get(problem.feature, problem.feature)
            if parameter == "response_format" and job.functions:
                parameter = "tools"
            raise UnsupportedParameter(
                f"No engine that serves '{snapshot.id}' here supports this use of '{parameter}'.",
                param=parameter,
            ) from None
        pool.wake()
        return pool

    async def render(self, job: ChatJob) -> tuple[Snapshot, Prompt]:
        """What the model would read for `job.messages`. It takes no place: nothing is generated."""
        snapshot = self._resolve(job.model, "chat")
        with self._pools.get(snapshot.id).acquire() as lease:
            return snapshot, await cast(ChatEngine, lease.engine).prepare(job.messages, job.functions)

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
        async with aclosing(pieces):
            async for piece in pieces:
                if first:
                    self._metrics.first_token.labels(snapshot.id).observe(time.monotonic() - began)
                    first = False
                if isinstance(piece, Usage):
                    self._metrics.tokens.labels(snapshot.id, "prompt").inc(piece.prompt_tokens)
                    self._metrics.tokens.labels(snapshot.id, "completion").inc(piece.completion_tokens)
                    await place.correct(piece.prompt_tokens + piece.completion_tokens)
                    # What is being charged must not end as a timeout: settling has a deadline of its own.
                    deadline.reschedule(None)
                    await bill.settle(piece)
                    yield piece
                    return
                yield piece


class HandedTokens:
    """Tells a bill of `n` choices what the client was handed: the prompt once, and the tokens of each choice.

    Without a running count of the engine (`counts`), a piece of text is taken for one token.
    """

    def __init__(self, bill: Bill, prompt_tokens: int, n: int, *, counts: bool) -> None:
        self._bill = bill
        self._prompt_tokens = prompt_tokens
        self._tokens = [0] * n
        self._counts = counts

    def __call__(self, piece: Delta | None) -> None:
        if piece is not None and self._counts:
            self._tokens[piece.index] = piece.completion_tokens
        elif piece is not None and (piece.text or piece.calls):
            self._tokens[piece.index] += 1
        self._bill.handed(Usage(prompt_tokens=self._prompt_tokens, completion_tokens=sum(self._tokens)))


def _fitted(job: ChatJob, prompt: Prompt, context: int) -> ChatJob:
    """The job with its answer bounded by the context. Raises `ContextLengthExceeded`: nothing is cut off."""
    used = len(prompt.tokens)
    wanted = job.max_tokens
    if used >= context or (wanted is not None and used + wanted > context):
        raise ContextLengthExceeded(limit=context, prompt=used, completion=wanted or 0)
    return job if wanted is not None else msgspec.structs.replace(job, max_tokens=context - used)


def _most(job: ChatJob, prompt: Prompt) -> Usage:
    """The most that a fitted job can use."""
    return Usage(prompt_tokens=len(prompt.tokens), completion_tokens=(job.max_tokens or 0) * job.n)
