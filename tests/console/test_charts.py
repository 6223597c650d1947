"""What plots show."""

from __future__ import annotations

import json

import msgspec

from antiphon.console.charts import MOST_SERIES, OTHERS, OTHERS_LOOK, Chart, stacked


def test_series_keep_their_looks_and_hold_every_place() -> None:
    found = [("a", "small", 1), ("b", "large", 5), ("a", "large", 2), ("a", "large", 1)]
    looks = {"small": 0, "none": 1, "large": 2}
    small, large = stacked(["a", "b", "c"], found, looks, str, 10)
    assert (large.name, large.look, large.y, large.told) == ("large", 2, [0.3, 0.5, 0.0], ["3", "5", "0"])
    assert (small.name, small.look, small.y) == ("small", 0, [0.1, 0.0, 0.0])
    [alone] = stacked(["a", "b"], [("b", "large", 1)], looks, str)
    assert alone.look == 2, "whatever else is drawn"


def test_what_is_too_much_for_a_plot_is_one_series_and_nothing_is_lost() -> None:
    found = [("a", f"name {number}", number) for number in range(1, 21)]
    series = stacked(["a"], found, {name: look for look, (_, name, _) in enumerate(found)}, str)
    assert [one.name for one in series] == [*(f"name {number}" for number in range(13, 21)), OTHERS]
    assert len(series) == MOST_SERIES + 1 and series[-1].look == OTHERS_LOOK
    assert sum(one.y[0] for one in series) == sum(range(1, 21))


def test_a_plot_is_plain_json() -> None:
    chart = Chart(
        kind="bars", title="</script>", label="x", series=stacked(["a"], [("a", "n", 1)], {"n": 0}, str)
    )
    assert json.loads(json.dumps(chart.drawn)) == json.loads(msgspec.json.encode(chart))
