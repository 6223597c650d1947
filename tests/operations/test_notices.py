"""What there is to tell, at each moment."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from antiphon.catalogue.catalogue import Catalogue, at
from antiphon.catalogue.document import document
from antiphon.catalogue.entries import Ending, Switch
from antiphon.catalogue.store import ModelStore
from antiphon.operations.notices import DAY, LATE_SECONDS, notices
from pretended import BASE, TINY, pretend_installed

MIDNIGHT = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp())


def seen(home: Path, now: int, *, switches: tuple[Switch, ...] = (), ends: bool = False) -> Catalogue:
    pretend_installed(home, BASE, TINY)
    ending = Ending(
        snapshot=BASE, deprecated=date(2026, 11, 1), shutdown=date(2026, 12, 1), replacement="whisper-1"
    )
    found = document(home / "models.toml", "")
    return at(found, ModelStore(home), now, switches, (ending,) if ends else ())


def switch(to: str, moment: int) -> Switch:
    return Switch(id=f"s{moment}", alias="whisper-1", snapshot=to, at=moment, notes="n", announced_at=0)


@pytest.mark.parametrize(
    ("after", "events"),
    [
        (-7 * DAY - 1, ["announced"]),
        (-7 * DAY, ["announced", "near"]),
        (-1, ["announced", "near"]),
        (0, ["happened"]),
        (LATE_SECONDS - 1, ["happened"]),
        (LATE_SECONDS, []),
    ],
)
def test_each_is_told_in_its_time(tmp_path: Path, after: int, events: list[str]) -> None:
    now = MIDNIGHT + after
    found = notices(seen(tmp_path, now, switches=(switch(TINY, MIDNIGHT),)), 7, now)
    assert [one.type for one in found] == [f"model.switch.{event}" for event in events]
    for one in found:
        assert (one.name, one.snapshot, one.to, one.at, one.notes) == (
            "whisper-1", BASE, TINY, MIDNIGHT, "n",
        )  # fmt: skip
    found = notices(seen(tmp_path, now, ends=True), 7, now)
    assert [one.type for one in found] == [f"model.end.{event}" for event in events]
    for one in found:
        assert (one.name, one.snapshot, one.to, one.at) == (BASE, BASE, "whisper-1", MIDNIGHT)


def test_the_moment_counts_not_when_the_catalogue_was_made(tmp_path: Path) -> None:
    old = seen(tmp_path, MIDNIGHT - 30 * DAY, switches=(switch(TINY, MIDNIGHT),), ends=True)
    for after, events in ((-8 * DAY, ["announced"]), (-DAY, ["announced", "near"]), (0, ["happened"])):
        found = notices(old, 7, MIDNIGHT + after)
        assert [one.event for one in found] == [*events, *events]


def test_what_changes_nothing_is_not_told(tmp_path: Path) -> None:
    switches = switch(BASE, MIDNIGHT - 10), switch(TINY, MIDNIGHT), switch(TINY, MIDNIGHT + 10)
    now = MIDNIGHT - 20
    assert [one.at for one in notices(seen(tmp_path, now, switches=switches), 0, now)] == [MIDNIGHT]
    assert notices(seen(tmp_path, MIDNIGHT), 7, MIDNIGHT) == []


def test_a_key_is_the_same_for_the_same_thing_alone(tmp_path: Path) -> None:
    there = [switch(TINY, MIDNIGHT), switch(BASE, MIDNIGHT + 10), switch(TINY, MIDNIGHT + 20)]
    now = MIDNIGHT - DAY
    found = notices(seen(tmp_path, now, switches=tuple(there), ends=True), 7, now)
    assert len({one.key for one in found}) == len(found) == 8
    again = notices(seen(tmp_path, now + 5, switches=tuple(there), ends=True), 7, now + 5)
    assert {one.key for one in again} == {one.key for one in found}
