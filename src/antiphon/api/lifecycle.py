"""What answers of a model that will end say of it in their headers: RFC 9745 and RFC 8594."""

from __future__ import annotations

from datetime import UTC, datetime, time
from email.utils import format_datetime

from antiphon.values import Snapshot


def headers(snapshot: Snapshot) -> dict[str, str]:
    """`Deprecation` and `Sunset` of a snapshot whose last day is known; of any other, none."""
    if snapshot.shutdown is None:
        return {}
    end = datetime.combine(snapshot.shutdown, time(), UTC)
    told = datetime.combine(snapshot.deprecated or snapshot.shutdown, time(), UTC)
    return {"deprecation": f"@{int(told.timestamp())}", "sunset": format_datetime(end, usegmt=True)}
