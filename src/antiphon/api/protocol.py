"""uvicorn's HTTP protocol with the deadlines and bounds it lacks.

A connection that sends its headers too slowly is closed, headers past the bound get 431, a client that does
not read its answer is cut off, and what is not HTTP gets an error in the API's envelope.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from antiphon.api import envelope
from antiphon.api.exchange import CONNECTION_LOST, new_id
from antiphon.errors import AntiphonError, HeadersTooLarge, InvalidRequest
from antiphon.settings import Settings


def bounded_protocol(settings: Settings) -> type[HttpToolsProtocol]:
    """A protocol class for uvicorn's `http` option, bounded by `settings`."""
    return type("BoundedProtocol", (BoundedProtocol,), {"settings": settings})


class BoundedProtocol(HttpToolsProtocol):
    """One connection; `bounded_protocol` gives a class that knows its settings."""

    settings: ClassVar[Settings]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._heard = self.loop.time()
        self._expect_headers()

    @property
    def idle_seconds(self) -> float:
        """Since when nothing came over the connection and no request ran; 0 while one does."""
        busy = self.cycle is not None and not self.cycle.response_complete
        return 0.0 if busy else self.loop.time() - self._heard

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        self._clear_unread()
        super().connection_lost(exc)

    # --- reading ---------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._heard = self.loop.time()
        try:
            super().data_received(data)
        except UnicodeDecodeError:
            self._refuse(InvalidRequest("The request's path is not valid."))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][CONNECTION_LOST] = self.transport.is_closing
        self._header_bytes = 0
        self._expect_headers()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._clear_deadline()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._clear_deadline()
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._heard = self.loop.time()
        if self.cycle.more_body and not self.transport.is_closing():
            # Refused before its body was read: what is left of it is thrown away, but not for ever.
            self._deadline = self.loop.call_later(self.settings.body_seconds, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        self._refuse(InvalidRequest("The request is not valid HTTP."))

    def _expect_headers(self) -> None:
        self._clear_deadline()
        self._deadline = self.loop.call_later(self.settings.header_seconds, self.transport.abort)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _count(self, count: int) -> None:
        self._header_bytes += count
        if self._header_bytes > self.settings.header_bytes and not self.transport.is_closing():
            limit = self.settings.header_bytes
            self._refuse(HeadersTooLarge(f"The request's headers are longer than {limit} bytes."))

    def _refuse(self, error: AntiphonError) -> None:
        body = envelope.envelope(error)
        head = f"HTTP/1.1 {error.status} {type(error).__name__}\r\n"
        for name, value in (
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("connection", "close"),
            ("x-request-id", new_id()),
        ):
            head += f"{name}: {value}\r\n"
        self.transport.write(head.encode() + b"\r\n" + body)
        self.transport.close()

    # --- writing ---------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self.settings.send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._clear_unread()

    def _clear_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
