from __future__ import annotations

from collections.abc import Sequence

import pytest

from antiphon.errors import Unavailable
from antiphon.moderation.scoring import Finding, Panel, Scores
from antiphon.wire.moderations import CATEGORIES


class Fixed:
    """Gives every text the same scores."""

    version, problem = "1", ""

    def __init__(self, name: str, scores: Scores, *, fails: Exception | None = None) -> None:
        self.name, self._scores, self._fails = name, scores, fails
        self.categories = frozenset(scores)
        self.closed = False

    async def start(self) -> None:
        pass

    async def score(self, texts: Sequence[str]) -> list[Scores]:
        if self._fails:
            raise self._fails
        return [self._scores for _ in texts]

    async def close(self) -> None:
        self.closed = True


async def test_the_highest_share_of_each_category_counts_and_says_whose_it_is() -> None:
    panel = Panel([Fixed("a", {"hate": 0.2, "sexual": 0.9}), Fixed("b", {"hate": 0.4, "sexual": 0.1})])
    first, second = await panel.score(["x", "y"])
    assert first == second and list(first) == list(CATEGORIES)
    assert (first["hate"], first["sexual"]) == (Finding(0.4, "b"), Finding(0.9, "a"))
    assert first["violence"] == Finding(0.0, "")
    assert panel.unscored == [name for name in CATEGORIES if name not in ("hate", "sexual")]


async def test_what_others_find_is_not_taken_for_everything_where_one_fails() -> None:
    broken = Fixed("b", {"hate": 0.9}, fails=Unavailable("It is away."))
    both = Panel([Fixed("a", {"hate": 0.2}), broken])
    with pytest.raises(Unavailable, match="It is away"):
        await both.score(["x"])
    [found] = await both.score(["x"], partly=True)
    assert found["hate"] == Finding(0.2, "a")
    for panel in (Panel([broken]), Panel([])):
        with pytest.raises(Unavailable):
            await panel.score(["x"], partly=True)


async def test_one_that_cannot_be_had_is_not_asked() -> None:
    missing = Fixed("b", {}, fails=Unavailable("It is away."))
    [found] = await Panel([Fixed("a", {"hate": 0.2}), missing]).score(["x"])
    assert found["hate"] == Finding(0.2, "a")


@pytest.mark.parametrize("partly", [False, True])
async def test_a_bug_of_a_scorer_is_not_hidden(partly: bool) -> None:
    away = Fixed("a", {"hate": 0.2}, fails=Unavailable("It is away."))
    broken = Fixed("b", {"hate": 1}, fails=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await Panel([away, broken]).score(["x"], partly=partly)


async def test_the_models_name_changes_with_whoever_scores() -> None:
    one, other = Fixed("a", {"hate": 0.2}), Fixed("b", {"hate": 0.2})
    names = {Panel(scorers).model for scorers in ([one], [other], [one, other])}
    assert len(names) == 3 and all(name.startswith("antiphon-moderation-") for name in names)
    other.version = "2"
    assert Panel([one, other]).model not in names
    await Panel([one, other]).close()
    assert one.closed and other.closed
