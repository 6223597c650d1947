"""Forms byte by byte: bounds, broken forms, and nothing left on the disk."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.ledger_faults import small_disk
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.api import uploads
from antiphon.api.uploads import FormReader
from antiphon.errors import AntiphonError, InvalidRequest, TooLarge
from service import serving
from until import until

BOUNDARY = b"x"


def part(name: str, content: bytes, extra: str = "") -> bytes:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + content + b"\r\n"


def read(form: bytes, limit: int = 1000, size: int = 1 << 20) -> tuple[dict[str, Any], bytes]:
    """The fields and the file of a form that arrives in pieces of `size` bytes."""
    reader = FormReader(BOUNDARY, limit)
    file = b""
    for start in range(0, len(form), size):
        reader.feed(form[start : start + size])
        file += reader.take()
    return reader.finish(), file


FORM = (
    part("model", b"m") + part("file", b"\r\n--sound\0", '; filename="a"') + part("a[]", b"1") + b"--x--\r\n"
)


@pytest.mark.parametrize("size", [1, 2, 7, 4096])
def test_it_is_the_same_in_whatever_pieces(size: int) -> None:
    assert read(FORM, size=size) == ({"model": "m", "a": ["1"]}, b"\r\n--sound\0")


@pytest.mark.requirement("R22")
@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"nonsense",
        b"--x--\r\n",
        FORM[:-20],
        b"--x\r\n\r\nno name\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: attachment; name="file"\r\n\r\na\r\n--x--\r\n',
        part("model", b"m") + b"--x--\r\n",
        part("file", b"1") + part("file", b"2") + b"--x--\r\n",
        part("file", b"1") + part("model", b"m") + part("model", b"n") + b"--x--\r\n",
        part("file", b"1") + part("include", b"m") + part("include[]", b"n") + b"--x--\r\n",
        part("file", b"1") + part("model", b"\xff") + b"--x--\r\n",
        part("file", b"1") + part("model", b"a\0b") + b"--x--\r\n",
        part("file", b"1") + part("prompt", b"a" * 70_000) + b"--x--\r\n",
        part("file", b"1") + part("", b"1") + b"--x--\r\n",
        b"".join(part(f"f{i}", b"1") for i in range(30)) + b"--x--\r\n",
        b"--x\r\n" + b"X: " + b"a" * 100_000 + b"\r\n\r\n1\r\n--x--\r\n",
        b"--x\r\n" + b"".join(b"X%d: a\r\n" % i for i in range(100)) + b"\r\n1\r\n--x--\r\n",
    ],
)
def test_a_broken_form_is_refused(form: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read(form)


def test_the_limit_is_of_the_file_alone() -> None:
    def sized(size: int) -> bytes:
        return part("file", b"a" * size) + part("prompt", b"b" * 500) + b"--x--\r\n"

    assert len(read(sized(1000))[1]) == 1000
    with pytest.raises(TooLarge, match="1000"):
        read(sized(1001))


@given(st.binary(max_size=300), st.integers(0, 300))
@settings(max_examples=200)
def test_no_bytes_break_it(garbage: bytes, at: int) -> None:
    for form in (garbage, FORM[:at] + garbage + FORM[at:]):
        try:
            fields, _ = read(form)
        except AntiphonError:
            continue
        assert isinstance(fields, dict)


@pytest.mark.requirement("R22")
@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        ("multipart/form-data; boundary=" + "x" * 300, 400),
        ("application/json", 415),
        ("", 415),
    ],
)
async def test_media_types(tmp_path: Path, content_type: str, status: int) -> None:
    async with serving(tmp_path) as service:
        got, _, body = await service.call(
            "POST", "/v1/audio/transcriptions", data=FORM, headers={"content-type": content_type}
        )
    assert got == status and body["error"]["type"] == "invalid_request_error"
    assert list((tmp_path / "uploads").iterdir()) == []


@pytest.mark.requirement("R8")
@pytest.mark.parametrize("size", [3000, 300_000])
async def test_a_file_past_the_limit(tmp_path: Path, size: int) -> None:
    """However much of the form is read until that shows."""
    headers = {"content-type": "multipart/form-data; boundary=x"}
    big = part("model", b"whisper-1") + part("file", b"a" * size) + b"--x--\r\n"
    async with serving(tmp_path, upload_bytes=2048) as service:
        status, _, body = await service.call("POST", "/v1/audio/transcriptions", data=big, headers=headers)
    assert status == 413 and "Maximum content size limit (2048) exceeded" in body["error"]["message"]
    assert list((tmp_path / "uploads").iterdir()) == []


async def test_a_full_disk_is_507(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("antiphon.api.uploads._open", full)
    async with serving(tmp_path) as service:
        status, _, body = await service.call(
            "POST",
            "/v1/audio/transcriptions",
            data=FORM,
            headers={"content-type": "multipart/form-data; boundary=x"},
        )
    assert status == 507 and body["error"]["code"] == "storage_full"


@pytest.mark.fault("the disk of uploads is full")
def test_a_disk_that_fills_up_midway_is_noticed(tmp_path: Path) -> None:
    """The system writes what fits, and says so only by a number."""
    try:
        with small_disk(tmp_path / "disk") as disk, pytest.raises(OSError, match="No space left"):
            with uploads._open(disk) as file:
                uploads._write(file, bytes(shutil.disk_usage(disk).free + 1))
    except OSError as problem:
        pytest.skip(str(problem))


async def test_so_many_uploads_arrive_at_once(tmp_path: Path) -> None:
    """Half of them from one organization, so that it does not keep others out."""
    go = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield FORM[:10]
        await go.wait()
        yield FORM[10:]

    async with serving(tmp_path, uploads_at_once=4) as service:

        async def send(key: str, form: Any = FORM) -> tuple[int, Any, Any]:
            headers = {"content-type": "multipart/form-data; boundary=x", "authorization": f"Bearer {key}"}
            return await service.call("POST", "/v1/audio/transcriptions", data=form, headers=headers)

        async def refused(key: str) -> int:
            status, headers, body = await send(key)
            assert int(headers["retry-after"]) >= 1 and body["error"]["param"] is None
            return status

        async def fill(key: str, count: int) -> list[asyncio.Task[Any]]:
            sending = [asyncio.create_task(send(key, slow())) for _ in range(2)]
            await until(lambda: len(list((tmp_path / "uploads").iterdir())) == count)
            return sending

        arriving = await fill("sk-org-a", 2)
        assert await refused("sk-org-a") == 429
        arriving += await fill("sk-org-b", 4)
        assert await refused("sk-org-c") == 503
        go.set()
        # The form asks for something that there is not: it has been read.
        assert [one[0] for one in await asyncio.gather(*arriving)] == [400] * 4
        assert (await send("sk-org-c"))[0] == 400
    assert list((tmp_path / "uploads").iterdir()) == []
