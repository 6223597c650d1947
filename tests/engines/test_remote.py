"""Where models are that others serve: what the settings allow, and whose key goes where."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.address import Address
from antiphon.engines import remote
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings
from fake_openai import KEY, deployment

ALLOWED = Settings(upstreams="http://10.0.0.5:8000 https://API.example.com http://[::1]:9000")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://10.0.0.5:8000/v1", Address(host="10.0.0.5", port=8000, base="/v1")),
        ("http://10.0.0.5:8000/v1/", Address(host="10.0.0.5", port=8000, base="/v1")),
        ("https://api.example.com/x/v1", Address(host="api.example.com", port=443, tls=True, base="/x/v1")),
        ("https://api.EXAMPLE.com:443", Address(host="api.example.com", port=443, tls=True)),
        ("http://[::1]:9000/v1", Address(host="::1", port=9000, base="/v1")),
    ],
)  # fmt: skip
def test_what_is_allowed_is_reached(url: str, address: Address) -> None:
    assert remote.reached(deployment(url), 0, ALLOWED) == address


@pytest.mark.requirement("R5")
@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.5/v1",
        "http://10.0.0.5:8001/v1",
        "https://10.0.0.5:8000/v1",
        "http://10.0.0.50:8000/v1",
        "http://api.example.com/v1",
        "https://api.example.com.evil.net/v1",
        "http://127.0.0.1:8000/v1",
    ],
)
def test_what_is_not_allowed_is_refused_with_the_name_of_the_setting(url: str) -> None:
    with pytest.raises(ConfigurationError, match="upstreams") as refusal:
        remote.reached(deployment("http://10.0.0.5:8000/v1", url), 0, ALLOWED)
    assert remote.origin(url) in refusal.value.fix
    with pytest.raises(ConfigurationError):
        remote.reached(deployment(url), 0, Settings())


def test_a_setting_that_is_no_url_is_said_to_be_none() -> None:
    with pytest.raises(ConfigurationError, match="upstreams"):
        remote.reached(deployment("http://a/v1"), 0, Settings(upstreams="http://a http://b:99999"))


@pytest.mark.parametrize(
    "url",
    ["ftp://x/v1", "http:///v1", "//x/v1", "x", "http://user:word@10.0.0.5:8000/v1", "http://x:99999/v1"],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ValueError):
        remote.origin(url)


def test_a_key_comes_from_its_file(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(f"{KEY}\n")
    found = remote.reached(deployment("http://10.0.0.5:8000/v1", key_file=str(key)), 0, ALLOWED)
    assert found.secret == KEY and KEY not in repr(found)


@pytest.mark.parametrize("content", [None, b"", b"two words", b"line\nbreak", b"\xff", b"x" * 9000])
def test_what_is_no_key_is_refused_and_not_shown(content: bytes | None, tmp_path: Path) -> None:
    key = tmp_path / "key"
    if content is not None:
        key.write_bytes(content)
    with pytest.raises(ConfigurationError, match=str(key)) as refusal:
        remote.reached(deployment("http://10.0.0.5:8000/v1", key_file=str(key)), 0, ALLOWED)
    assert "words" not in refusal.value.message and "break" not in refusal.value.message
