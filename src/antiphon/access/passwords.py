"""Passwords of the console: argon2id, computed off the event loop, a few at once and no more."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from antiphon.errors import InvalidRequest, RateLimited

LEAST, MOST = 10, 256
"""Characters."""
AT_ONCE = 2
WAITING = 16
"""Computations take a processor and 64 MiB each: these run, and so many wait."""
_NOBODY = (
    "$argon2id$v=19$m=65536,t=3,p=4$c29tZSBzYWx0IG9mIG5vYm9keQ$SvVHHRKhR3hUV7GLgwXcWl6v5kp1WGZXxOSbQoEEfKo"
)


class Passwords:
    """Makes and checks what is stored of passwords; the library's parameters are those of RFC 9106."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def made(self, password: str) -> str:
        """What is stored of it. Raises `InvalidRequest` for one that is too short or too long."""
        if not LEAST <= len(password) <= MOST:
            raise InvalidRequest(f"A password has {LEAST} to {MOST} characters.", param="password")
        return await self._computed(password)

    async def fits(self, stored: str | None, password: str) -> bool:
        """Whether it is this password. Nobody's (None) takes as long as anybody's.

        Raises `RateLimited` where too many wait to be checked.
        """
        if len(password) > MOST:
            return False
        return await self._computed(password, stored or _NOBODY) == "yes" and stored is not None

    async def _computed(self, password: str, stored: str | None = None) -> str:
        if self._waiting >= WAITING:
            raise RateLimited("Too many people sign in at this moment. Please try again.", retry_after=2)
        self._waiting += 1
        try:
            async with self._turns:
                if stored is None:
                    return await asyncio.to_thread(self._hasher.hash, password)
                return await asyncio.to_thread(self._verified, stored, password)
        finally:
            self._waiting -= 1

    def _verified(self, stored: str, password: str) -> str:
        try:
            self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return "no"
        return "yes"
