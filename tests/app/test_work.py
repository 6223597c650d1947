"""What goes on beside requests, and how it ends."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from antiphon.access.authenticator import Authenticator
from antiphon.app import running as app
from antiphon.errors import Unavailable
from antiphon.settings import Settings


async def test_it_ends_though_the_database_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def away(self: Authenticator) -> None:
        raise Unavailable("The database cannot be used at the moment.")

    with caplog.at_level(logging.WARNING):
        async with app.running(Settings(home=str(tmp_path))):
            monkeypatch.setattr(Authenticator, "flush_used", away)
    assert "the last use of keys could not be written" in caplog.text
