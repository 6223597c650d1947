"""Strict JSON: what is let through, what is refused, and that the loop is not held up."""

from __future__ import annotations

import asyncio
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.api.body import parse
from antiphon.errors import InvalidRequest
from service import serving


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": 1, "a": 2}',
        b'{"b": {"a": 1, "a": 2}}',
        b'{"a": "\\ud800"}',
        b'{"a": "\\udc00\\ud800"}',
        b'{"a": "\\u0000"}',
        b'{"a": "\x00"}',
        b'{"a": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b"{} {}",
    ],
)
def test_what_is_not_strict_json_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse(content)


@pytest.mark.parametrize(
    "value",
    [
        {"a": "\\u0000 written out"},
        {"a": "\U0001f600 and \ue000"},
        {"a": [1, 2.5, None, True, ""]},
        {"a": 2**63},
        {"a": 1e308},
    ],
)
def test_what_is_json_stays_itself(value: Any) -> None:
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False).encode()) == value


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0")), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values)
def test_everything_that_json_can_say_is_understood(value: Any) -> None:
    assert parse(json.dumps(value).encode()) == value


@pytest.mark.requirement("R22")
async def test_media_types_and_encodings(tmp_path: Path) -> None:
    body = json.dumps({"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hi"}]}).encode()

    async with serving(tmp_path) as service:

        async def status(**headers: str) -> int:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return (await service.call("POST", "/v1/chat/completions", data=body, headers=sent))[0]

        assert await status(content_type="application/json") == 200
        assert await status(content_type="application/json; charset=utf-8") == 200
        assert await status(content_type="text/plain") == 415
        assert await status(content_type="application/x-www-form-urlencoded") == 415
        assert await status(content_type="application/json", content_encoding="gzip") == 415


@pytest.mark.requirement("R8")
async def test_a_body_past_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async with serving(tmp_path, json_bytes=2048) as service:
        status, _, body = await service.chat(messages=[{"role": "user", "content": "x" * 4096}])

        async def pieces() -> Any:
            for _ in range(8):
                yield b" " * 1024

        chunked, _, _ = await service.call(
            "POST", "/v1/chat/completions", data=pieces(), headers={"content-type": "application/json"}
        )
    assert status == 413 and body["error"]["type"] == "server_error"
    assert "Maximum content size limit (2048) exceeded" in body["error"]["message"]
    assert chunked == 413


async def test_a_body_that_stops_coming_is_given_up(tmp_path: Path) -> None:
    async with serving(tmp_path, body_seconds=0.2) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer sk-test\r\n"
            b"content-type: application/json\r\ncontent-length: 100\r\n\r\n{"
        )
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
        assert b" 408 " in answer
        writer.close()


@pytest.mark.requirement("R10")
async def test_a_megabyte_of_prompt_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    """The bar of 50 ms is measured by the benchmarks; here it is a second, on a machine that may be busy."""
    async with serving(tmp_path) as service:
        message = {"role": "user", "content": "x" * 1_000_000}
        body = json.dumps({"model": "gpt-3.5-turbo", "messages": [message], "max_tokens": 1}).encode()
        asking = asyncio.create_task(
            service.call(
                "POST",
                "/v1/chat/completions",
                data=io.BytesIO(body),
                headers={"content-type": "application/json"},
            )
        )
        worst = 0.0
        while not asking.done():
            began = time.monotonic()
            await asyncio.sleep(0)
            worst = max(worst, time.monotonic() - began)
        assert (await asking)[0] == 200
    assert worst < 1.0
