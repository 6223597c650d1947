"""Whatever is sent, the answer is right: in the API's shape, in time, in bounded memory, leaving nothing."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.request import urlopen

import pytest
from benchmarks.processes import Server

from bad_input import (
    audio_cases,
    bomb_cases,
    json_cases,
    moderation_cases,
    multipart_cases,
    parameter_cases,
    protocol_cases,
    reference_cases,
    schema_cases,
    tool_cases,
)
from bad_input.cases import ANSWER_SECONDS, MULTIPART, TRANSCRIPTIONS, Case, answered, check, form, send
from bad_input.conftest import Watch, fine
from until import until

CASES = [
    *json_cases.cases(),
    *parameter_cases.cases(),
    *multipart_cases.cases(),
    *audio_cases.cases(),
    *bomb_cases.cases(),
    *schema_cases.cases(),
    *tool_cases.cases(),
    *moderation_cases.cases(),
]
GROWTH = 64 * 1024 * 1024
"""Most memory, over both processes, that a refused request may take, and that all may leave the gateway."""
SPEECH_GROWTH = 2 * GROWTH
"""That all may leave the speech engine, whose batches are of another size each time."""
OVERRUN = 1024 * 1024
"""Most bytes that may be read of an upload past its limit."""


@pytest.mark.requirement("R11")
@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_case(watch: Watch, case: Case) -> None:
    with watch.peak() as grown:
        answer = answered(watch.server, case)
        assert answer.status == 200 or grown() <= GROWTH


@pytest.mark.parametrize("raw", [pytest.param(raw, id=raw.id) for raw in protocol_cases.cases()])
def test_protocol(server: Server, raw: protocol_cases.Raw) -> None:
    answer = send(server, raw.make(server.key))
    assert answer.status in raw.statuses, answer.body[:500]
    assert answer.seconds <= ANSWER_SECONDS
    check(answer)


@pytest.mark.requirement("R8")
def test_an_upload_past_the_limit_is_refused_within_a_mebibyte_of_it(server: Server) -> None:
    case = next(case for case in CASES if case.id == "size-limit-plus-10-mib-chunked")
    message = answered(server, case).error["message"]
    found = re.search(r"\((\d+) bytes read\)", message)
    assert found is not None
    assert int(found[1]) <= bomb_cases.UPLOAD + OVERRUN


@pytest.mark.requirement("R1")
@pytest.mark.parametrize("disguise", protocol_cases.DISGUISES)
def test_no_disguise_replaces_the_key(server: Server, disguise: str) -> None:
    """Plainly at every locked route; in each disguise at a quarter of them, another quarter in turn."""
    make = protocol_cases.DISGUISES[disguise]
    routes = _locked(server)
    if disguise != "plain":
        routes = routes[list(protocol_cases.DISGUISES).index(disguise) % 4 :: 4]
    for method, path in routes:
        answer = send(server, make(method, path).replace(b"{key}", server.key.encode()))
        assert answer.status in (400, 401, 404, 405), f"{method} {path}: {answer.status}"
        check(answer)


def _locked(server: Server) -> list[tuple[str, str]]:
    """Every route that asks for a key, by the server's own word; its parameters are filled in."""
    with urlopen(f"{server.root}/openapi.json", timeout=ANSWER_SECONDS) as answer:
        document = json.load(answer)
    found = [
        (method.upper(), path.replace("{model}", "gpt-3.5-turbo"))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation.get("security") != []
    ]
    assert len(found) >= 7
    return found


@pytest.mark.requirement("R12")
def test_nothing_that_a_file_refers_to_is_opened(server: Server) -> None:
    with _listener() as (address, opened):
        for url in (f"http://{address}/a.wav", f"tcp://{address}", reference_cases.SPEECH_FILE.as_uri()):
            for name, content in reference_cases.references(url):
                case = Case(
                    id=name,
                    path=TRANSCRIPTIONS,
                    body=lambda content=content: form(file=content),
                    content_type=MULTIPART,
                    statuses=(200, 400),
                    text="",
                )
                answered(server, case)
    assert opened == []


@contextmanager
def _listener() -> Iterator[tuple[str, list[str]]]:
    """An address, and the connections that were made to it."""
    opened: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()

        def accept() -> None:
            while True:
                connection, peer = listener.accept()
                with connection:
                    if connection.recv(4) == b"stop":
                        return
                    opened.append(str(peer))

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"{host}:{port}", opened
        finally:
            with socket.create_connection((host, port), timeout=ANSWER_SECONDS) as last:
                last.sendall(b"stop")
            thread.join(ANSWER_SECONDS)


def test_it_serves_as_before(server: Server) -> None:
    with urlopen(f"{server.root}/readyz", timeout=ANSWER_SECONDS) as answer:
        assert json.load(answer)["status"] == "ready"
    for case in fine():
        answered(server, case)


@pytest.mark.requirement("R7")
def test_memory_stays_bounded(watch: Watch) -> None:
    gateway, speech = watch.growth()
    assert gateway <= GROWTH
    assert speech <= SPEECH_GROWTH


@pytest.mark.requirement("R11")
def test_no_process_was_replaced(watch: Watch) -> None:
    assert all(process.is_running() for process in (*watch.processes, watch.chat_engine))


async def test_nothing_is_left_behind(watch: Watch) -> None:
    with suppress(TimeoutError):  # a recording that is kept is there until it is encrypted
        await until(lambda: not watch.left())
    assert watch.left() == set()
