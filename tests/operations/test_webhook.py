"""One message: how it is signed, and what became of it."""

from __future__ import annotations

import base64
import re
import stat
from pathlib import Path

import pytest
from benchmarks.processes import free_port

from antiphon import settings
from antiphon.errors import ConfigurationError
from antiphon.operations import webhook
from antiphon.operations.webhook import FILE_NAME, Webhook, load_secret, signature
from receiver import receiving

SECRET = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


def test_a_message_is_signed_as_the_standard_says() -> None:
    # The example of its libraries' documentation.
    signed = signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_secret_is_made_once_for_nobody_else_to_read(tmp_path: Path) -> None:
    made = load_secret(tmp_path)
    assert len(made) == 32 and load_secret(tmp_path) == made
    path = tmp_path / FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text(f"whsec_{base64.b64encode(SECRET).decode()}\n")
    assert load_secret(tmp_path) == SECRET


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_c2hvcnQ=", "c2hvcnQ=", "whsec_*", "whsec_é"])
def test_what_is_no_secret_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(ConfigurationError, match="holds no secret") as refusal:
        load_secret(tmp_path)
    assert not text or text not in str(refusal.value)


async def test_a_message_arrives(tmp_path: Path) -> None:
    secret = load_secret(tmp_path)
    async with receiving() as receiver:
        assert (
            await Webhook(f"{receiver.address}/hook", secret).post("msg_1", 1_800_000_000, b'{"a":1}') == ""
        )
        assert receiver.told(tmp_path) == [{"a": 1}]
        [(headers, _)] = receiver.messages
        assert headers["content-type"] == "application/json"
        assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("msg_1", "1800000000")


@pytest.mark.parametrize("status", [302, 307, 400, 410, 500])
async def test_whatever_is_not_well_is_a_failure_and_nothing_is_followed(status: int) -> None:
    async with receiving() as receiver:
        receiver.answers = [status]
        failure = await Webhook(f"{receiver.address}/hook", SECRET).post("msg_1", 0, b"{}")
        assert failure == f"it answered {status}" and receiver.redirected == 0


async def test_one_who_is_away_or_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    away = await Webhook(f"http://127.0.0.1:{free_port()}/token", SECRET).post("msg_1", 0, b"{}")
    assert "cannot be reached" in away and "token" not in away
    monkeypatch.setattr(webhook, "_SECONDS", 0.1)
    async with receiving() as receiver:
        receiver.slow = 5
        assert "within 0.1 s" in await Webhook(f"{receiver.address}/hook", SECRET).post("msg_1", 0, b"{}")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://hooks.example.com",
        "https://hooks.example.com:8443/a?b=c",
        "http://localhost:9/x",
        "http://[::1]/",
    ],
)
def test_an_address_of_https_or_of_this_machine_will_do(address: str, tmp_path: Path) -> None:
    assert settings.load({"home": str(tmp_path), "webhook": address}, {}).webhook == address


@pytest.mark.parametrize(
    "address",
    [
        "hooks.example.com",
        "http://hooks.example.com/",
        "http://127.0.0.1.example.com/",
        "http://localhost@example.com/",
        "https://user:password@example.com/",
        "https://example.com/#a",
        "https://example.com/a b",
        "https://example.com/\n",
        "ftp://example.com",
        "https://",
    ],
)
def test_any_other_address_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=re.escape("--webhook: webhook:")):
        settings.load({"home": str(tmp_path), "webhook": address}, {})
