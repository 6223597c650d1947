"""What is told of models."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from antiphon.catalogue.catalogue import at
from antiphon.catalogue.document import document
from antiphon.catalogue.entries import Ending, Switch
from antiphon.catalogue.listing import listing
from antiphon.catalogue.store import ModelStore
from pretended import BASE, SMOLLM2, TINY, pretend_installed

NOON = int(datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp())


def test_names_are_told_with_what_they_mean_and_when_that_changes(tmp_path: Path) -> None:
    pretend_installed(tmp_path, SMOLLM2, BASE, TINY)
    switches = tuple(
        Switch(id=str(at), alias="whisper-1", snapshot=to, at=at, announced_at=0, notes=to[:12])
        for at, to in ((NOON - 60, TINY), (NOON + 60, BASE))
    )
    ended = Ending(snapshot=BASE, deprecated=date(2026, 11, 1), shutdown=date(2026, 11, 30))
    found = document(tmp_path / "models.toml", "")
    catalogue = at(found, ModelStore(tmp_path), NOON, switches, (ended,))
    told = {one.name: one for one in listing(catalogue, {"whisper-1": TINY, "gpt-3.5-turbo": SMOLLM2})}
    assert set(told) == {"whisper-1", "gpt-3.5-turbo", SMOLLM2, TINY, BASE}
    whisper = told["whisper-1"]
    assert (whisper.means, whisper.task, told[TINY].means) == (TINY, "speech", None)
    assert [change.snapshot for change in whisper.changes] == [BASE, TINY]
    assert told["gpt-3.5-turbo"].changes == () and told[SMOLLM2].context == 8192
    assert told[SMOLLM2].price is not None and told[SMOLLM2].price.input == 2_000_000
    assert told[BASE].shutdown == date(2026, 11, 30), "what has ended is told for as long as it is there"
