"""Other gateways, each in an environment of its own, from a package of one version."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from benchmarks.gateway.measure import Target
from benchmarks.gateway.stub import MODELS
from benchmarks.gateway.values import LITELLM, SMG
from benchmarks.processes import free_port, peer
from benchmarks.uv import uv

KEY = "sk-0123456789abcdef0123456789abcdef"
NEWEST = "2026-11-19"
"""Nothing that was published later is installed."""


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """`command` gives what starts it: from its programs, a folder for files, its port and the upstream's."""

    name: str
    package: str
    """As pip takes it, without a version."""
    version: str
    command: Callable[[Path, Path, int, int], list[str]]
    health: str = "/health"
    environment: Mapping[str, str] = {}


def _litellm(programs: Path, folder: Path, port: int, upstream: int) -> list[str]:
    base = f"http://127.0.0.1:{upstream}/v1"
    models = [
        {
            "model_name": name,
            "litellm_params": {"model": f"openai/{name}", "api_base": base, "api_key": "sk-upstream"},
        }
        for name in MODELS
    ]
    settings = {
        "model_list": models,
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"telemetry": False, "request_timeout": 600},
    }
    config = folder / "litellm.yaml"
    config.write_text(json.dumps(settings))  # which is YAML, too
    return [
        str(programs / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port),
        "--num_workers", "1",
    ]  # fmt: skip


def _smg(programs: Path, folder: Path, port: int, upstream: int) -> list[str]:
    return [
        str(programs / "smg"), "launch", "--backend", "openai",
        "--worker-urls", f"http://127.0.0.1:{upstream}",
        "--host", "127.0.0.1", "--port", str(port), "--api-key", KEY,
        "--prometheus-port", str(free_port()), "--log-level", "warn",
        # A limit that is counted, and reached by nobody.
        "--max-concurrent-requests", "100000", "--rate-limit-tokens-per-second", "1000000000",
    ]  # fmt: skip


PEERS = (
    Peer(name=SMG, package="smg", version="1.13.0", command=_smg),
    Peer(
        name=LITELLM,
        package="litellm[proxy]",
        version="1.108.7",
        command=_litellm,
        health="/health/liveliness",
        environment={
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # the one in the package: nothing is fetched
            "LITELLM_LOG": "ERROR",
        },
    ),
)


def installed(peer: Peer, folder: Path) -> Path:
    """The folder of its programs; installs it unless an earlier run did. Blocks, for minutes.

    Raises `RuntimeError`.
    """
    place = folder / f"{peer.name.lower()}-{peer.version}"
    whole = place / ".whole"
    if not whole.exists():
        shutil.rmtree(place, ignore_errors=True)
        package = f"{peer.package}=={peer.version}"
        uv("venv", "--quiet", "--python", "3.11", str(place))
        python = str(place / "bin" / "python")
        uv("pip", "install", "--quiet", "--python", python, "--exclude-newer", NEWEST, package)
        whole.touch()
    return place / "bin"


@contextmanager
def running(peer_: Peer, folder: Path, upstream: int, core: int) -> Iterator[Target]:
    """The peer on one core, in front of the upstream at that port. Raises `RuntimeError`."""
    programs = installed(peer_, folder)
    port = free_port()
    command = ["taskset", "-c", str(core), *peer_.command(programs, folder, port, upstream)]
    log = folder / f"{peer_.name.lower()}.log"
    health = f"http://127.0.0.1:{port}{peer_.health}"
    with peer(command, log, peer_.environment, health) as pid:
        below = [child.pid for child in psutil.Process(pid).children(recursive=True)]
        yield Target(address=("127.0.0.1", port), key=KEY, processes=(pid, *below))
