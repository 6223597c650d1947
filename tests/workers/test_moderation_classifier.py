from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.wire.moderations import CATEGORIES
from antiphon.workers.moderation import classifier
from antiphon.workers.moderation.classifier import (
    HERE,
    MOST,
    SENTENCE,
    SHA256,
    WINDOW,
    Head,
    Missing,
    _stretches,
    encoder_file,
    load,
)

needs_encoder = pytest.mark.skipif(
    encoder_file() is None, reason="the package of the encoder is not installed"
)


def test_the_head_is_for_the_encoder_and_knows_every_category() -> None:
    head = msgspec.json.decode((HERE / "head.json").read_bytes(), type=Head)
    assert head.encoder == SHA256 and tuple(head.categories) == CATEGORIES
    assert {len(row) for row in head.weights} == {384} and len(head.biases) == len(head.weights) == 13


@given(st.lists(st.sampled_from([5, 6, 7, 1012, 1029]), max_size=1000))
def test_every_token_is_looked_at_in_stretches_of_a_bounded_length(ids: list[int]) -> None:
    seen = [one[1:-1] for one in _stretches(ids)]
    assert seen and all(len(one) <= max(WINDOW, SENTENCE) for one in seen)
    assert set(ids) <= {id for one in seen for id in one}
    assert len({tuple(one) for one in seen}) == len(seen)


def test_of_a_text_that_is_very_long_beginning_and_end_are_looked_at() -> None:
    ids = list(range(2000, 102_000))
    seen = [one[1:-1] for one in _stretches(ids)]
    assert len(seen) <= 2 * MOST
    assert any(one[0] == 2000 for one in seen) and any(one[-1] == 101_999 for one in seen)


def test_one_that_is_missing_or_another_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "encoder_file", lambda: None)
    with pytest.raises(Missing, match="not installed"):
        load()
    (tmp_path / "model.onnx").write_bytes(b"another")
    monkeypatch.setattr(classifier, "encoder_file", lambda: tmp_path / "model.onnx")
    with pytest.raises(Missing, match="not the one"):
        load()


@pytest.fixture(scope="module")
def loaded() -> Iterator[classifier.Classifier]:
    yield load()


@needs_encoder
def test_texts_are_scored_alone_and_always_the_same(loaded: classifier.Classifier) -> None:
    assert loaded.score(" \n") == [0.0] * 13
    bad, good = "Kill all the immigrants before they take over.", "How do I centre a div in CSS?"
    assert loaded.score(bad) == loaded.score(bad) and max(loaded.score(good)) < 0.5
    found = dict(zip(loaded.categories, loaded.score(bad), strict=True))
    assert found["hate/threatening"] > 0.5 > found["sexual"]


@needs_encoder
@pytest.mark.parametrize("text", ["\ud800", "\u0000", "😀" * 50, "x" * 5000, "漢字" * 100, "\n" * 100 + "a"])
def test_whatever_the_text_is_it_has_scores(loaded: classifier.Classifier, text: str) -> None:
    scores = loaded.score(text.encode("utf-8", "replace").decode())
    assert len(scores) == 13 and all(0 <= score <= 1 for score in scores)
