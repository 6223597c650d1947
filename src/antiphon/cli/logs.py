"""How a server logs: to stderr, as lines for people, or as one JSON object a line."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import msgspec

from antiphon.spans import request_id

_FIELDS = "fields"
"""What a record may carry beside its text: `extra={"fields": {...}}`."""
_NOISY = ("alembic", "aiosqlite", "asyncio", "opentelemetry", "urllib3", "uvicorn")
"""Of these only warnings are wanted: what they say beyond may hold what we would never log, or is known."""


class Json(logging.Formatter):
    """One object a line, with the id of the request that it is about, if it is about one."""

    def __init__(self, process: int | None = None) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._process is not None:
            told["process"] = str(self._process)
        if known := request_id():
            told["request_id"] = known
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(told | getattr(record, _FIELDS, {})).decode()


def configure(level: str, form: str, process: int | None = None) -> None:
    """Log from now on. Lines of one of several gateway processes carry its number."""
    name = "" if process is None else f" [{process}]"
    text = logging.Formatter(f"%(asctime)s{name} %(levelname)s %(name)s %(message)s")
    handler = logging.StreamHandler()
    handler.setFormatter(Json(process) if form == "json" else text)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
