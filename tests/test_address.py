"""Where an engine listens, as a command line says it."""

from __future__ import annotations

import pytest

from antiphon.address import SECRET, Address, listening
from antiphon.workers.guard import antiphon_guard

KNOWN = {SECRET: "s3cret"}


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (Address(path="/run/a b.sock"), "unix:/run/a b.sock"),
        (Address(host="10.0.0.7", port=8100, secret="s3cret"), "tcp:10.0.0.7:8100"),
        (Address(host="node.example", port=1, secret="s3cret"), "tcp:node.example:1"),
        (Address(host="fd00::1", port=8100, secret="s3cret"), "tcp:[fd00::1]:8100"),
    ],
)
def test_it_is_written_and_read_without_its_secret(address: Address, text: str) -> None:
    assert str(address) == repr(address) == text and "s3cret" not in text
    assert listening(text, KNOWN) == address


@pytest.mark.parametrize(
    "text",
    ["", "/run/a", "unix:", "unix:a", "tcp:h", "tcp::1", "tcp:h:0", "tcp:h:65536", "tcp:h:x", "http://h:1"],
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        listening(text, KNOWN)


@pytest.mark.requirement("R20")
def test_tcp_needs_a_secret() -> None:
    with pytest.raises(ValueError, match=SECRET):
        listening("tcp:127.0.0.1:8100", {})
    assert antiphon_guard.SECRET == SECRET, "the guard cannot import it"


def test_others_are_named_by_host_and_port() -> None:
    far = Address(host="api.example.com", port=443, secret="s3cret", tls=True, base="/v1")
    assert str(far) == repr(far) == "tls:api.example.com:443" and far.authority == "api.example.com:443"
    assert Address(host="fd00::1", port=80).authority == "[fd00::1]:80" and not Address(path="/a").authority
    with pytest.raises(ValueError, match="neither"):
        listening(str(far), KNOWN)
