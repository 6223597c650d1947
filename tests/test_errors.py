"""The tree of errors and the one place that turns an exception into an answer."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import msgspec
import pytest

from antiphon import errors
from antiphon.api import envelope
from antiphon.errors import AntiphonError, RateLimited, RequestTimeout, Unauthenticated


def tree(root: type[AntiphonError] = AntiphonError) -> Iterator[type[AntiphonError]]:
    for child in root.__subclasses__():
        yield child
        yield from tree(child)


@pytest.mark.parametrize("kind", list(tree()), ids=lambda kind: kind.__name__)
def test_every_error_knows_what_to_answer_and_stands_in_the_drawing(kind: type[AntiphonError]) -> None:
    assert 400 <= kind.status <= 599 and kind.status not in (409, 422)
    assert isinstance(kind.type, str)
    assert kind.__name__ in (errors.__doc__ or "")


def test_the_envelope_has_all_four_keys() -> None:
    body = msgspec.json.decode(envelope.envelope(RateLimited("Slow down.", retry_after=2)))
    assert body == {
        "error": {
            "message": "Slow down.",
            "type": "requests",
            "param": None,
            "code": "rate_limit_exceeded",
        }
    }


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (RateLimited("x", retry_after=0.2), {"retry-after": "1", "retry-after-ms": "200"}),
        (RateLimited("x", retry_after=1.5), {"retry-after": "2", "retry-after-ms": "1500"}),
        (RequestTimeout("x"), {"x-should-retry": "false"}),
        (Unauthenticated("x"), {"www-authenticate": "Bearer"}),
        (AntiphonError("x"), {}),
    ],
)
def test_retry_advice(error: AntiphonError, headers: dict[str, str]) -> None:
    assert envelope.headers(error) == headers


def test_foreign_exceptions(caplog: pytest.LogCaptureFixture) -> None:
    assert envelope.known(OSError(errno.ENOSPC, "full"), "req_1").status == 507
    unknown = envelope.known(OSError(errno.EIO, "secret"), "req_1")
    assert unknown.status == 500 and "req_1" in unknown.message and "secret" not in unknown.message
    assert "req_1" in caplog.text
