"""What plots show."""

from __future__ import annotations

import json

import msgspec

from antiphon.console.charts import MOST_SERIES, OTHERS, Chart, stacked


def test_series_are_ordered_by_size_and_hold_every_place() -> None:
    found = [("a", "small", 1), ("b", "large", 5), ("a", "large", 2), ("a", "large", 1)]
    large, small = stacked(["a", "b", "c"], found, str, 10)
    assert (large.name, large.y, large.told) == ("large", [0.3, 0.5, 0.0], ["3", "5", "0"])
    assert (small.name, small.y) == ("small", [0.1, 0.0, 0.0])


def test_what_is_too_much_for_a_plot_is_one_series_and_nothing_is_lost() -> None:
    found = [("a", f"name {number}", number) for number in range(1, 21)]
    series = stacked(["a"], found, str)
    assert len(series) == MOST_SERIES + 1 and series[-1].name == OTHERS
    assert sum(one.y[0] for one in series) == sum(range(1, 21))


def test_a_plot_is_plain_json() -> None:
    chart = Chart(kind="bars", title="</script>", label="x", series=stacked(["a"], [("a", "n", 1)], str))
    assert json.loads(json.dumps(chart.drawn)) == json.loads(msgspec.json.encode(chart))
