"""The one place where an exception becomes what a client sees: status, headers and OpenAI's envelope."""

from __future__ import annotations

import errno
import logging
import math
import traceback

import msgspec

from antiphon.errors import AntiphonError, InternalError, StorageFull
from antiphon.wire.models import ErrorBody, ErrorEnvelope

_log = logging.getLogger("antiphon.api")


def known(problem: BaseException, request_id: str) -> AntiphonError:
    """The error to answer with. What is not of our tree is answered without any detail.

    It is logged by its class and where it was raised; its text stays out, since it may quote the request.
    """
    if isinstance(problem, AntiphonError):
        return problem
    if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("The server's disk is full.")
    places = "".join(traceback.format_tb(problem.__traceback__)).rstrip()
    _log.error("unexpected %s in request %s\n%s", type(problem).__name__, request_id, places)
    return InternalError(f"The server had an error while processing your request (request ID {request_id}).")


def envelope(error: AntiphonError) -> bytes:
    """`{"error": {"message", "type", "param", "code"}}`."""
    return msgspec.json.encode(
        ErrorEnvelope(ErrorBody(message=error.message, type=error.type, param=error.param, code=error.code))
    )


def headers(error: AntiphonError) -> dict[str, str]:
    """Retry advice, as the official clients read it."""
    found: dict[str, str] = {}
    if error.retry_after is not None:
        found["retry-after"] = str(max(1, math.ceil(error.retry_after)))
        found["retry-after-ms"] = str(max(1, math.ceil(error.retry_after * 1000)))
    if error.should_retry is not None:
        found["x-should-retry"] = "true" if error.should_retry else "false"
    if error.status == 401:
        found["www-authenticate"] = "Bearer"
    return found
