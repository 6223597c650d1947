from __future__ import annotations

import json
import logging
import sys

import pytest

from antiphon.cli.logs import Json, configure
from antiphon.spans import Way, begin


def record(text: str, **more: object) -> logging.LogRecord:
    found = logging.getLogger("antiphon.x").makeRecord("antiphon.x", 20, "f", 1, text, (), None, extra=more)
    return found


async def test_a_line_is_an_object_that_names_its_request() -> None:
    plain = json.loads(Json().format(record("hello\nthere")))
    assert plain | {"time": ""} == {
        "time": "",
        "level": "info",
        "logger": "antiphon.x",
        "message": "hello\nthere",
    }
    assert plain["time"].endswith("Z")
    begin(Way("req_1"))
    told = json.loads(Json(2).format(record("x", fields={"status": 200})))
    assert (told["request_id"], told["process"], told["status"]) == ("req_1", "2", 200)


def test_an_exception_is_part_of_it() -> None:
    try:
        raise ValueError("x")
    except ValueError:
        failed = record("it failed")
        failed.exc_info = sys.exc_info()
    assert "ValueError" in json.loads(Json().format(failed))["exception"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_it_is_set_up_once(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", logging.NOTSET)
    configure("debug", form, 3)
    [handler] = root.handlers
    assert isinstance(handler.formatter, Json) == (form == "json")
    assert root.level == logging.DEBUG and logging.getLogger("aiosqlite").level == logging.WARNING
    assert "3" in handler.format(record("x"))
