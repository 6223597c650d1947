"""What fails before anything came of it is asked of another engine, once; nothing is written twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from antiphon.errors import EngineFailed, EngineRefused, Unavailable
from antiphon.inference.attempts import attempted, begun
from antiphon.values import Delta, Usage
from embedding_service import ScriptedEmbeddings, embed, embedding
from service import ScriptedEngine, serving

WHOLE = [Delta(0, "a"), Delta(0, "b"), Usage()]


class Engine:
    """Writes `WHOLE`, or fails after so many pieces."""

    def __init__(self, after: int | None = None, problem: type[EngineFailed] = EngineFailed) -> None:
        self.after = after
        self.problem = problem
        self.asked = 0
        self.closed = 0
        self.fingerprint = "fp_1"

    async def write(self) -> AsyncGenerator[Delta | Usage, None]:
        self.asked += 1
        try:
            for number, piece in enumerate(WHOLE):
                if number == self.after:
                    raise self.problem("It broke off.")
                yield piece
        finally:
            self.closed += 1


class Held:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.deadline: Any = None
        self.fingerprint = engine.fingerprint
        self.failed = self.answered = False


class Others:
    """A pool with one further engine, or none, beside a `first`."""

    def __init__(self, engine: Engine | None = None, first: Engine | None = None) -> None:
        self.engine = engine
        self.first = first
        self.held: list[Engine] = []
        self.failed: list[Engine] = []

    @contextmanager
    def acquire(self, beginning: Any = None, besides: Any = None, deadline: Any = None) -> Iterator[Held]:
        engine = self.first if besides is None else self.engine
        if engine is None:
            raise Unavailable("There is none.")
        self.held.append(engine)
        lease = Held(engine)
        try:
            yield lease
        finally:
            self.held.remove(engine)
            if lease.failed:
                self.failed.append(engine)


async def told(first: Engine, pool: Others, rest: Any = None) -> tuple[Sequence[Any], Held]:
    lease: Any = Held(first)
    others: Any = pool
    pieces = attempted(others, lease, lambda engine: engine.write(), then=rest)  # type: ignore[attr-defined]
    found = [piece async for piece in pieces]
    return found, lease


async def test_one_that_does_not_fail_is_the_only_one_asked() -> None:
    first, other = Engine(), Engine()
    found, lease = await told(first, Others(other))
    assert (found, other.asked, lease.failed) == (WHOLE, 0, False)


@pytest.mark.fault("what failed before its first byte is asked elsewhere, once")
async def test_what_failed_before_its_first_piece_is_written_by_another() -> None:
    first, other = Engine(0), Engine()
    pool = Others(other)
    found, lease = await told(first, pool)
    assert (found, lease.failed, first.closed, pool.held) == (WHOLE, True, 1, [])


@pytest.mark.fault("what failed later is asked nowhere else")
async def test_what_failed_later_is_not_written_again() -> None:
    other = Engine()
    with pytest.raises(EngineFailed):
        await told(Engine(1), Others(other))
    assert other.asked == 0


class Rest:
    """What follows of `WHOLE`."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.possible = True

    def saw(self, piece: Any) -> None:
        self.seen.append(piece)

    async def pieces(self, engine: Engine) -> AsyncGenerator[Delta | Usage, None]:
        engine.asked += 1
        if engine.after == 0:
            raise EngineFailed("The other broke off, too.")
        for piece in WHOLE[len(self.seen) :]:
            yield piece


async def test_what_failed_later_goes_on_with_another_engine() -> None:
    other, rest = Engine(), Rest()
    pool = Others(other)
    found, lease = await told(Engine(1), pool, rest)
    assert found == WHOLE and rest.seen == WHOLE[:1] and other.asked == 1
    assert lease.failed and pool.held == []


async def test_it_goes_on_once_and_as_the_same_version_alone() -> None:
    with pytest.raises(EngineFailed, match="The other broke off"):
        await told(Engine(1), Others(Engine(0)), Rest())
    another = Engine()
    another.fingerprint = "fp_2"
    with pytest.raises(EngineFailed, match="It broke off"):
        await told(Engine(1), Others(another), Rest())
    assert another.asked == 0
    with pytest.raises(EngineFailed, match="It broke off"):
        await told(Engine(1), Others(), Rest())
    over = Rest()
    over.possible = False
    with pytest.raises(EngineFailed, match="It broke off"):
        await told(Engine(1), Others(Engine()), over)


async def test_what_failed_before_its_first_piece_is_written_whole_by_the_other() -> None:
    rest = Rest()
    found, _ = await told(Engine(0), Others(Engine()), rest)
    assert found == WHOLE and rest.seen == []


async def test_a_request_at_fault_is_not_tried_again() -> None:
    other = Engine()
    with pytest.raises(EngineRefused):
        await told(Engine(0, EngineRefused), Others(other))
    assert other.asked == 0


async def test_it_is_tried_again_once_and_the_first_failure_is_told_if_there_is_no_other() -> None:
    with pytest.raises(EngineFailed):
        await told(Engine(0), Others(Engine(0)))
    with pytest.raises(EngineFailed, match="It broke off"):
        await told(Engine(0), Others())


async def first_piece(engine: Engine, held: AsyncExitStack) -> Delta | Usage:
    return await anext(await held.enter_async_context(aclosing(engine.write())))


async def test_what_could_not_begin_begins_elsewhere_and_the_first_is_let_go() -> None:
    first, other = Engine(0), Engine()
    pool: Any = Others(other, first)
    async with begun(pool, first_piece) as (lease, piece):
        assert (lease.engine, piece) == (other, WHOLE[0])
        assert pool.held == [other] and pool.failed == [first]
    assert pool.held == []


@pytest.mark.parametrize("pool", [Others(None, Engine(0)), Others(Engine(0), Engine(0))])
async def test_what_can_begin_nowhere_fails_as_it_first_did(pool: Any) -> None:
    with pytest.raises(EngineFailed, match="It broke off"):
        async with begun(pool, first_piece):
            pass
    assert pool.held == []


async def test_what_is_at_fault_begins_nowhere_else() -> None:
    other = Engine()
    pool: Any = Others(other, Engine(0, EngineRefused))
    with pytest.raises(EngineRefused):
        async with begun(pool, first_piece):
            pass
    assert other.asked == 0


async def test_what_fails_once_it_has_begun_is_not_begun_again() -> None:
    other = Engine()
    pool: Any = Others(other, Engine())
    with pytest.raises(Unavailable, match="no books"):
        async with begun(pool, first_piece):
            raise Unavailable("There are no books.")
    assert other.asked == 0


# --- over the API -------------------------------------------------------------------------------------------


class Dying(ScriptedEngine):
    """Dead before a prompt is read or a recording is open."""

    async def prepare(self, *_: Any) -> Any:
        raise EngineFailed("It broke off.")

    async def tokenize(self, *_: Any) -> Any:
        raise EngineFailed("It broke off.")

    @asynccontextmanager
    async def open(self, *_: Any) -> AsyncIterator[Any]:
        raise EngineFailed("It broke off.")
        yield


@pytest.mark.parametrize(("well", "status"), [(True, 200), (False, 503)])
async def test_text_and_speech_go_to_another_engine_if_the_first_dies_before_they_begin(
    tmp_path: Path, well: bool, status: int
) -> None:
    async with serving(tmp_path, Dying()) as service:
        service.pool.other = ScriptedEngine() if well else None
        form = aiohttp.FormData({"model": "whisper-1"})
        form.add_field("file", b"seconds=1", filename="a.wav")
        found = [
            await service.chat(),
            await service.complete(),
            await service.call("POST", "/v1/audio/transcriptions", data=form),
        ]
    assert [answer[0] for answer in found] == [status] * 3
    if not well:
        assert [answer[2]["error"]["code"] for answer in found] == ["engine_failed"] * 3


class DyingEmbeddings(ScriptedEmbeddings):
    """Dead before an input is read, or while it embeds the second."""

    def __init__(self, *, reads: bool) -> None:
        super().__init__()
        self.reads = reads

    async def tokenize(self, inputs: Any) -> Any:
        if not self.reads:
            raise EngineFailed("It broke off.")
        return await super().tokenize(inputs)

    async def embed(self, inputs: Any) -> AsyncGenerator[bytes, None]:
        async for vector in super().embed(inputs):
            yield vector
            raise EngineFailed("It broke off.")


@pytest.mark.parametrize("reads", [True, False])
async def test_embeddings_are_made_by_another_engine_if_the_first_dies(tmp_path: Path, reads: bool) -> None:
    async with embedding(tmp_path, DyingEmbeddings(reads=reads)) as service:
        assert (await embed(service, input=["one", "two"]))[0] == 503
        service.pool.other = ScriptedEmbeddings()
        status, _, body = await embed(service, input=["one", "two"])
        paid = await service.books.requests(1 + reads)
    assert (status, len(body["data"])) == (200, 2)
    assert sorted(one.status for one in paid) == ["settled", "voided"][: 1 + reads]
