"""Server-sent events: one `data:` line each, and the mark of a stream that is whole."""

from __future__ import annotations

from typing import Any

import msgspec

DONE = b"data: [DONE]\n\n"


def event(value: Any) -> bytes:
    """A struct as one event."""
    return b"data: " + msgspec.json.encode(value) + b"\n\n"
