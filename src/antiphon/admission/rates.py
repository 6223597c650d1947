"""Request rates: a token bucket for each project. The decision is a plain function of numbers."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

_MOST_BUCKETS = 100_000
"""Projects remembered at once; the longest unused are forgotten, which only ever refills their bucket."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How one project stands against its limit. Times are seconds.

    `reset` is when the bucket will be full again; `retry_after` is 0 when a request may come now.
    """

    limit: int
    remaining: int
    reset: float
    retry_after: float = 0.0


class Bucket(msgspec.Struct, frozen=True):
    """Requests that may still be sent, as of a moment of the monotonic clock."""

    tokens: float
    at: float


def refill(bucket: Bucket, limit: int, now: float) -> Bucket:
    """The bucket at `now`: it fills with `limit` requests a minute, up to `limit`."""
    gained = max(0.0, now - bucket.at) * limit / 60
    return Bucket(min(float(limit), bucket.tokens + gained), now)


def standing(bucket: Bucket, limit: int) -> Standing:
    """What a bucket means for the caller."""
    return Standing(
        limit=limit,
        remaining=int(bucket.tokens),
        reset=(limit - bucket.tokens) * 60 / limit,
        retry_after=0.0 if bucket.tokens >= 1 else (1 - bucket.tokens) * 60 / limit,
    )


class Rates:
    """The buckets of all projects, in this process."""

    def __init__(self, per_minute: int) -> None:
        self._limit = per_minute
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def look(self, project: str, now: float) -> Standing | None:
        """How a project stands; None when there is no limit."""
        return standing(self._bucket(project, now), self._limit) if self._limit else None

    def take(self, project: str, now: float) -> Standing | None:
        """Count one request, unless `retry_after` of the answer says that it may not come yet."""
        if not self._limit:
            return None
        bucket = self._bucket(project, now)
        before = standing(bucket, self._limit)
        if before.retry_after:
            return before
        self._buckets[project] = taken = Bucket(bucket.tokens - 1, now)
        self._buckets.move_to_end(project)
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return msgspec.structs.replace(standing(taken, self._limit), retry_after=0.0)

    def _bucket(self, project: str, now: float) -> Bucket:
        return refill(self._buckets.get(project) or Bucket(float(self._limit), now), self._limit, now)
