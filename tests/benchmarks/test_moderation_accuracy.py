"""The labelled texts, and the table of how good scorers are: as `docs/moderation.md` shows it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from benchmarks.moderation.accuracy import ANY, SIDES, Counts, counted, measured, table
from benchmarks.moderation.texts import TEST, TRAINING, Labelled, read

from antiphon.wire.moderations import CATEGORIES
from antiphon.workers.moderation.classifier import encoder_file

PAGE = Path(__file__).parents[2] / "docs" / "moderation.md"


def test_there_are_enough_texts_of_every_category_and_none_was_trained_with() -> None:
    test, training = read(TEST), read(TRAINING)
    assert len(test) >= 300 and len({one.text for one in test}) == len(test)
    assert not {one.text for one in test} & {one.text for one in training}
    counts = Counter(name for one in test for name in one.categories)
    assert set(counts) == set(CATEGORIES) and min(counts.values()) >= 10
    assert 0.4 < sum(not one.categories for one in test) / len(test) < 0.6


def test_what_was_found_is_counted() -> None:
    texts = [
        Labelled("a", frozenset({"hate"})),
        Labelled("b", frozenset()),
        Labelled("c", frozenset({"hate"})),
    ]
    found = counted(texts, [{"hate": 0.5}, {"hate": 0.9, "sexual": 0.49}, {"hate": 0.4}])
    assert (found["hate"], found["sexual"], found[ANY]) == (Counts(1, 1, 1), Counts(0, 0, 0), Counts(1, 1, 1))
    assert (found["hate"].precision, found["hate"].recall) == (0.5, 0.5)
    assert found["sexual"].precision is None and found["sexual"].recall is None
    assert "| hate | 2 | 0.50 / 0.50 |" in table(texts, {"rules": found})


@pytest.mark.skipif(encoder_file() is None, reason="the package of the encoder is not installed")
async def test_the_page_shows_what_is_measured() -> None:
    texts = read(TEST)
    sides = {side: await measured(side, texts) for side in SIDES}
    assert table(texts, sides) in PAGE.read_text()
    any_found = sides["rules classifier"][ANY]
    assert any_found.precision and any_found.recall
    assert any_found.precision > 0.85 and any_found.recall > 0.85
