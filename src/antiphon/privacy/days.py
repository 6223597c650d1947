"""Days of UTC, by which content expires and keys end."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

SECONDS = 86_400


def day_of(seconds: float) -> str:
    """The day (YYYY-MM-DD) of a moment in unix seconds."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def is_day(name: str) -> bool:
    """Whether it is a day as `day_of` writes it."""
    try:
        return date.fromisoformat(name).isoformat() == name
    except ValueError:
        return False


def end_of(day: str) -> int:
    """The moment (unix seconds) at which a day is over."""
    after = date.fromisoformat(day) + timedelta(days=1)
    return int(datetime(after.year, after.month, after.day, tzinfo=UTC).timestamp())
