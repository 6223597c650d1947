"""The check of the address that the server listens on: free, or who answers there."""

from __future__ import annotations

import errno
import http.client
import socket

import msgspec

from antiphon.cli import standing
from antiphon.cli.checks import Finding
from antiphon.cli.options import local_host
from antiphon.settings import Settings
from antiphon.wire.models import Readiness

ANSWER_SECONDS = 2.0
ANSWER_BYTES = 1 << 16


def address(settings: Settings) -> Finding:
    """Whether `host` and `port` could be listened on now; if they are taken, whether by a ready Antiphon."""
    where = f"{settings.host}:{settings.port}"
    try:
        _listen(settings.host, settings.port)
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            return _occupant(settings, where)
        other_port = problem.errno in (errno.EACCES, errno.EPERM)
        fix = (
            "choose a port above 1023 with ANTIPHON_PORT" if other_port else "set ANTIPHON_HOST to 127.0.0.1"
        )
        return Finding("problem", f"{where}: {problem.strerror}", fix)
    return Finding("ok", "any free port" if settings.port == 0 else f"{where} is free")


def _listen(host: str, port: int) -> None:
    family, kind, protocol, _, place = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as listener:
        # As the server does: connections that ended a moment ago do not keep the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)


def _occupant(settings: Settings, where: str) -> Finding:
    try:
        readiness = _readiness(local_host(settings), settings.port)
    except (OSError, http.client.HTTPException, msgspec.MsgspecError):
        return Finding(
            "problem",
            f"{where} is taken by another program",
            "stop that program, or choose another port with ANTIPHON_PORT",
        )
    if elsewhere := _elsewhere(settings):
        return Finding(
            "warning",
            f"an Antiphon answers at {where}, but not that of {settings.home_path}: {elsewhere}",
            "set ANTIPHON_HOME to the data folder of the one that answers, or ANTIPHON_PORT to another port",
        )
    states = ", ".join(f"{snapshot} {state}" for snapshot, state in readiness.deployments.items())
    detail = f"an Antiphon answers at {where}: {readiness.status}" + (f" ({states})" if states else "")
    if readiness.status == "ready":
        return Finding("ok", detail)
    return Finding("warning", detail, "wait until it is ready, or read the logs in its data folder")


def _elsewhere(settings: Settings) -> str:
    """Why who answers at the address cannot be the server of the data folder; empty if it may be."""
    own = standing.read(settings.home_path)
    if own is None:
        return "none runs there"
    return f"that one listens on port {own.port}" if own.port not in (0, settings.port) else ""


def _readiness(host: str, port: int) -> Readiness:
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return msgspec.json.decode(connection.getresponse().read(ANSWER_BYTES), type=Readiness)
    finally:
        connection.close()
