"""A short mark of everything that may change answers: the API's `system_fingerprint`."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from pathlib import Path

from antiphon import __version__
from antiphon.values import Deployment


def fingerprint(deployment: Deployment) -> str:
    """Of a model as one engine serves it on this machine, with this version of Antiphon.

    The processor is this machine's: of an engine that a cluster has put on another kind of machine, or that
    others run, it tells nothing.
    """
    told = f"{deployment.digest} {deployment.slots} {__version__} {_processor()}"
    return f"fp_{hashlib.sha256(told.encode()).hexdigest()[:10]}"


@cache
def _processor() -> str:
    """What it can do: libraries choose their arithmetic by that."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {flags}"
