"""Multipart forms with one file: streamed to disk under a cap, every part, name and value bounded."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from antiphon.api.body import require_identity
from antiphon.api.exchange import Exchange
from antiphon.errors import InvalidRequest, RateLimited, TooLarge, Unavailable, UnsupportedMediaType
from antiphon.settings import Settings

_PARTS = 20
_FIELD_BYTES = 64 * 1024
_OVERHEAD = 256 * 1024
"""Bytes that a form may have besides its file."""
_FLUSH = 1024 * 1024
_RETRY_SECONDS = 2.0


class Form(msgspec.Struct, frozen=True):
    """A form as received: its fields (`name[]` is a list of all that were sent), and the file on disk."""

    fields: dict[str, Any]
    file: Path


class Uploads:
    """Where uploads lie while they are worked on, and how many may be on their way at once.

    Once it is whole an upload stands in line like any request; until then nothing else bounds it.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self._arriving: Counter[str] = Counter()

    @asynccontextmanager
    async def receive(self, exchange: Exchange) -> AsyncIterator[Form]:
        """The form, whose file exists for as long as the block runs. The client's file name is never used.

        Raises `RateLimited` or `Unavailable` if too many are arriving, before anything is read.
        """
        limit = self._settings.upload_bytes
        reader = FormReader(_boundary(exchange), limit)
        with self._one_more(exchange.known_caller.organization_id):
            file = await asyncio.to_thread(_open, self._folder)
            try:
                await _received(exchange, reader, file, limit)
            except BaseException:
                file.close()
                raise
        try:
            yield Form(reader.finish(), Path(file.name))
        finally:
            file.close()

    @asynccontextmanager
    async def hold(self, content: bytes) -> AsyncIterator[Path]:
        """A file of this content, which is here already, for as long as the block runs."""
        file = await asyncio.to_thread(_open, self._folder)
        try:
            await asyncio.to_thread(_write, file, content)
            yield Path(file.name)
        finally:
            file.close()

    @contextmanager
    def _one_more(self, organization: str) -> Iterator[None]:
        total = self._settings.uploads_at_once
        most = total // 2
        if self._arriving[organization] >= most:
            raise RateLimited(
                f"Too many uploads of your organization are arriving (limit {most}). Please try again later.",
                retry_after=_RETRY_SECONDS,
            )
        if self._arriving.total() >= total:
            raise Unavailable("The server is overloaded. Please try again later.", retry_after=_RETRY_SECONDS)
        self._arriving[organization] += 1
        try:
            yield
        finally:
            self._arriving[organization] -= 1
            if not self._arriving[organization]:
                del self._arriving[organization]


async def _received(exchange: Exchange, reader: FormReader, file: IO[bytes], limit: int) -> None:
    async with aclosing(exchange.body(limit + _OVERHEAD, told=limit)) as pieces:
        async for piece in pieces:
            reader.feed(piece)
            if len(reader.unwritten) >= _FLUSH:
                await asyncio.to_thread(_write, file, reader.take())
    await asyncio.to_thread(_write, file, reader.take())


def _open(folder: Path) -> IO[bytes]:
    return tempfile.NamedTemporaryFile(dir=folder, prefix="upload-", buffering=0)


def _write(file: IO[bytes], content: bytes) -> None:
    """All of it, or `OSError`: where a disk is nearly full the system writes what fits, and says how much."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def _boundary(exchange: Exchange) -> bytes:
    require_identity(exchange)
    kind, options = parse_options_header(exchange.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        shown = kind.decode("latin-1")[:100]
        raise UnsupportedMediaType(f"Send the file as 'multipart/form-data', not '{shown}'.")
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 256:
        raise _malformed()
    return boundary


def _malformed() -> InvalidRequest:
    return InvalidRequest("We could not parse the multipart form of your request.")


class FormReader:
    """Takes a form apart as it arrives. `unwritten` holds what of the file has not been taken yet.

    The parser bounds the headers of a part; parts, fields and the file are counted here.
    """

    def __init__(self, boundary: bytes, limit: int) -> None:
        self._limit = limit
        self._fields: dict[str, list[bytearray]] = {}
        self._parts = self._files = self._file_bytes = self._field_bytes = 0
        self._header, self._value = bytearray(), bytearray()
        self._name = ""
        self._ended = False
        self.unwritten = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_begin": self._header_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )

    def feed(self, piece: bytes) -> None:
        try:
            self._parser.write(piece)
        except MultipartParseError:
            raise _malformed() from None

    def take(self) -> bytes:
        """What of the file has arrived since the last call."""
        taken = bytes(self.unwritten)
        self.unwritten.clear()
        return taken

    def finish(self) -> dict[str, Any]:
        """The fields, once everything has arrived. Raises `InvalidRequest` for a form that is not whole."""
        if not self._ended:
            raise _malformed()
        if not self._files:
            raise InvalidRequest(
                "Missing required parameter: 'file'.", param="file", code="missing_required_parameter"
            )
        found: dict[str, Any] = {}
        for name, values in self._fields.items():
            plain = name.removesuffix("[]")
            if plain in found:
                raise _repeated(plain)
            found[plain] = _value(name, values)
        return found

    def _begin(self) -> None:
        self._parts += 1
        self._name = ""
        if self._parts > _PARTS:
            raise InvalidRequest(f"The form has more than {_PARTS} parts.")

    def _header_begin(self) -> None:
        self._header.clear()
        self._value.clear()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() != b"content-disposition":
            return
        kind, options = parse_options_header(bytes(self._value))
        try:
            self._name = options.get(b"name", b"").decode("utf-8")
        except UnicodeDecodeError:
            raise _malformed() from None
        if kind != b"form-data":
            raise _malformed()

    def _headers_finished(self) -> None:
        if not self._name:
            raise _malformed()
        if self._name != "file":
            self._fields.setdefault(self._name, []).append(bytearray())
            return
        self._files += 1
        if self._files > 1:
            raise InvalidRequest("The form has more than one file.", param="file")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name == "file":
            self._file_bytes += end - start
            if self._file_bytes > self._limit:
                raise TooLarge(
                    f"Maximum content size limit ({self._limit}) exceeded ({self._file_bytes} bytes read)"
                )
            self.unwritten += data[start:end]
            return
        self._field_bytes += end - start
        if self._field_bytes > _FIELD_BYTES:
            raise InvalidRequest("The fields of the form are too long.", param=self._name[:200])
        self._fields[self._name][-1] += data[start:end]

    def _end(self) -> None:
        self._ended = True


def _value(name: str, values: list[bytearray]) -> str | list[str]:
    try:
        texts = [value.decode("utf-8") for value in values]
    except UnicodeDecodeError:
        raise InvalidRequest(f"'{name}' is not valid UTF-8.", param=name[:200]) from None
    if any("\0" in text for text in texts):
        raise InvalidRequest(f"'{name}' holds the character U+0000.", param=name[:200])
    if name.endswith("[]"):
        return texts
    if len(texts) > 1:
        raise _repeated(name)
    return texts[0]


def _repeated(name: str) -> InvalidRequest:
    return InvalidRequest(f"'{name[:200]}' was sent more than once.", param=name[:200])
