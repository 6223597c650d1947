"""The address that pages name: the one under which they were asked for, whatever a client writes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from antiphon.api.exchange import Exchange
from antiphon.api.own_address import EXAMPLE, in_page, in_script, own_address
from antiphon.settings import Settings


def asked(headers: Mapping[str, str]) -> Exchange:
    async def unused(*_: object) -> None:
        raise AssertionError("nothing is read or sent")

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/docs", "query_string": b"", "headers": raw}
    return Exchange(scope, unused, unused, Settings(), lambda caller, standing: {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "host", ["127.0.0.1:9000", "ai.example.com", "gateway_1:80", "[::1]:8000", "[fe80::1]"]
)
def test_it_is_the_host_that_was_asked_for(host: str) -> None:
    assert own_address(asked({"host": host}), "") == f"http://{host}"


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a b",
        "a/b",
        "a@b",
        "a:",
        "a:123456",
        "a:b",
        "::1",
        "[",
        "<script>",
        '"',
        "a\n",
        "a;b",
        "ä",
        "a?b#c",
    ],
)
def test_a_host_that_is_none_is_not_repeated(host: str) -> None:
    assert own_address(asked({"host": host}), "") == EXAMPLE


def test_the_setting_is_stronger_than_what_a_client_or_a_proxy_writes() -> None:
    headers = {"host": "inner:8000", "x-forwarded-host": "evil.example", "x-forwarded-proto": "https"}
    assert own_address(asked(headers), "https://ai.example.com") == "https://ai.example.com"
    assert own_address(asked(headers), "") == "http://inner:8000"


def test_it_is_written_as_html_and_scripts_need_it() -> None:
    assert (
        in_page(f"<code>{EXAMPLE}/v1</code>".encode(), 'https://a"<b')
        == b"<code>https://a&quot;&lt;b/v1</code>"
    )
    assert in_script(f'x = "{EXAMPLE}/v1";'.encode(), 'https://a"b') == b'x = "https://a\\"b/v1";'
