"""The idempotency keys of this process: `claims`, for the epoch that takes new requests."""

from __future__ import annotations

from collections.abc import Callable

from antiphon.ledger import claims
from antiphon.ledger.store import Store

KEEP_SECONDS = 25 * 3600
"""How long a key stays used, at least: a day, though a clock be set forward by an hour."""
PURGE_SECONDS = 60.0
"""Between two purges."""


class IdempotencyKeys:
    """`epoch_id` gives the epoch that takes new requests, or raises `Unavailable`; `clock`: unix seconds."""

    def __init__(self, store: Store, epoch_id: Callable[[], str], clock: Callable[[], float]) -> None:
        self._store, self._epoch_id, self._clock = store, epoch_id, clock

    async def claim(self, digest: bytes, fingerprint: bytes, request_id: str) -> claims.Claim:
        """See `claims.claim`."""
        now = int(self._clock())
        return await self._store.run(claims.claim, digest, fingerprint, request_id, self._epoch_id(), now)

    async def end(self, digest: bytes, request_id: str) -> None:
        """See `claims.end`."""
        await self._store.run(claims.end, digest, request_id)

    async def drop(self, digest: bytes, request_id: str) -> None:
        """See `claims.drop`."""
        await self._store.run(claims.drop, digest, request_id)

    async def purge(self) -> None:
        """Forget the keys that are too old. By itself: many rows at once, in no order that others share."""
        await self._store.run(claims.purge, int(self._clock()) - KEEP_SECONDS)
