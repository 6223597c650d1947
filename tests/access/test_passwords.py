"""Passwords: what is stored, and what fits."""

from __future__ import annotations

import asyncio

import pytest

from antiphon.access.passwords import AT_ONCE, WAITING, Passwords
from antiphon.errors import InvalidRequest, RateLimited


async def test_what_is_stored_tells_nothing_and_fits_one_password() -> None:
    passwords = Passwords()
    stored = await passwords.made("correct horse battery")
    assert stored.startswith("$argon2id$") and "horse" not in stored
    assert stored != await passwords.made("correct horse battery")
    assert await passwords.fits(stored, "correct horse battery")
    assert not await passwords.fits(stored, "correct horse batterY")
    assert not await passwords.fits(stored, "x" * 10_000)
    assert not await passwords.fits(None, "correct horse battery")
    assert not await passwords.fits("no hash", "correct horse battery")


async def test_short_and_endless_ones_are_refused() -> None:
    for password in ("", "123456789", "x" * 257):
        with pytest.raises(InvalidRequest, match="10 to 256"):
            await Passwords().made(password)


async def test_a_few_are_computed_at_once_and_more_than_can_wait_are_refused() -> None:
    passwords, running, most = Passwords(), 0, 0
    release = asyncio.Event()

    class Slow:
        def hash(self, password: str) -> str:
            nonlocal running, most
            running += 1
            most = max(most, running)
            asyncio.run_coroutine_threadsafe(release.wait(), loop).result(10)
            running -= 1
            return password

    loop = asyncio.get_running_loop()
    passwords._hasher = Slow()  # type: ignore[assignment]
    waiting = [asyncio.create_task(passwords.made("x" * 10)) for _ in range(WAITING)]
    await asyncio.sleep(0.05)
    with pytest.raises(RateLimited):
        await passwords.made("x" * 10)
    release.set()
    await asyncio.gather(*waiting)
    assert most == AT_ONCE
