"""Who shows the secret is let through; everybody else is not."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.workers.guard.antiphon_guard import SECRET, Guard


async def asked(guard: Guard, kind: str = "http", *headers: tuple[bytes, bytes]) -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await guard({"type": kind, "headers": headers}, None, send)
    return sent


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send("let through")


@pytest.mark.parametrize(
    ("headers", "through"),
    [
        ([(b"authorization", b"Bearer s3cret")], True),
        ([(b"accept", b"*/*"), (b"authorization", b"Bearer s3cret")], True),
        ([], False),
        ([(b"authorization", b"Bearer s3cre")], False),
        ([(b"authorization", b"s3cret")], False),
        ([(b"authorization", b"Bearer "), (b"authorization", b"Bearer s3cret")], False),
    ],
)
async def test_the_secret_opens(headers: list[tuple[bytes, bytes]], through: bool) -> None:
    sent = await asked(Guard(app, "s3cret"), "http", *headers)
    assert (sent == ["let through"]) is through
    if not through:
        assert sent[0]["status"] == 401 and b"s3cret" not in sent[1]["body"]


async def test_without_a_secret_everybody_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRET, raising=False)
    assert await asked(Guard(app)) == ["let through"]
    monkeypatch.setenv(SECRET, "s3cret")
    assert (await asked(Guard(app)))[0]["status"] == 401


async def test_no_other_protocol_is_let_through_but_the_start_and_the_end() -> None:
    assert await asked(Guard(app, "s3cret"), "websocket") == []
    assert await asked(Guard(app, "s3cret"), "lifespan") == ["let through"]
