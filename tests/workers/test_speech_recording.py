"""A recording that is held goes on once it is started, or is given up."""

from __future__ import annotations

import asyncio

import pytest

from antiphon.errors import RequestTimeout
from antiphon.workers.speech import recording as speech_recording
from antiphon.workers.speech.recording import Recording


async def test_it_waits_for_its_start() -> None:
    recording = Recording("1")
    waiting = asyncio.create_task(recording.started())
    await asyncio.sleep(0)
    assert not waiting.done()
    recording.start()
    await asyncio.wait_for(waiting, 5)


async def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_recording, "HOLD_SECONDS", 0.01)
    with pytest.raises(RequestTimeout):
        await Recording("1").started()
