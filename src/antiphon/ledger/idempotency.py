"""The idempotency keys of this process: `claims`, for the epoch that takes new requests."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from antiphon.ledger import claims
from antiphon.ledger.store import Store

KEEP_SECONDS = 24 * 3600
"""How long a key stays used."""


class IdempotencyKeys:
    """`epoch_id` gives the epoch that takes new requests, or raises `Unavailable`; `clock`: unix seconds."""

    def __init__(self, store: Store, epoch_id: Callable[[], str], clock: Callable[[], float]) -> None:
        self._store, self._epoch_id, self._clock = store, epoch_id, clock

    async def claim(self, digest: bytes, fingerprint: bytes, request_id: str) -> claims.Claim:
        """See `claims.claim`; keys that are too old are forgotten on the way."""
        now = int(self._clock())
        return await self._store.run(_claim, digest, fingerprint, request_id, self._epoch_id(), now)

    async def end(self, digest: bytes, request_id: str) -> None:
        """See `claims.end`."""
        await self._store.run(claims.end, digest, request_id)

    async def drop(self, digest: bytes, request_id: str) -> None:
        """See `claims.drop`."""
        await self._store.run(claims.drop, digest, request_id)


def _claim(
    connection: Connection, digest: bytes, fingerprint: bytes, request_id: str, epoch_id: str, now: int
) -> claims.Claim:
    arguments = (digest, fingerprint, request_id, epoch_id, now)
    found = claims.claim(connection, *arguments)
    # Forgotten second: whoever claims holds the epoch before other rows, as whoever closes one does.
    forgotten = claims.purge(connection, now - KEEP_SECONDS)
    return claims.claim(connection, *arguments) if forgotten else found
