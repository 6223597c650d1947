"""The mark of what may change answers."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec.structs import replace

from antiphon.pools.fingerprint import fingerprint
from antiphon.values import Deployment


def test_it_changes_with_what_may_change_answers_and_with_nothing_else() -> None:
    one = Deployment(snapshot="m", task="chat", engine="fake", model=Path("/a"), slots=2, digest="d1")
    assert re.fullmatch("fp_[0-9a-f]{10}", fingerprint(one))
    assert fingerprint(one) == fingerprint(replace(one, model=Path("/b"), on_demand=True))
    assert (
        len({fingerprint(one), fingerprint(replace(one, digest="d2")), fingerprint(replace(one, slots=3))})
        == 3
    )
