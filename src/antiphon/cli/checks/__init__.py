"""What `antiphon doctor` looks at: each check is a function from the settings to one `Finding`.

No check leaves anything changed: what the first start will make (folder, database, models) may be missing.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """What a check found. A problem keeps the server from working; a warning makes it worse."""

    state: Literal["ok", "warning", "problem"]
    detail: str
    fix: str = ""
