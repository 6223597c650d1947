"""OpenVINO GenAI's continuous batching, in a process of our own: `antiphon.workers.chat`.

It loads a folder that is made of a GGUF file, or of a folder of safetensors, beforehand (`preparation`).
Prompts are kept between requests; what one organization asked never serves another
(docs/decisions/0025-openvino.md).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from antiphon.address import Address
from antiphon.engines.base import EngineKind
from antiphon.engines.completion import CompletionEngine, common_body
from antiphon.errors import ConfigurationError, UnsupportedParameter
from antiphon.settings import Settings
from antiphon.values import ChatJob, Deployment, Prompt

_PREPARATION = 1
"""Raised whenever the preparation makes something else."""
_CONTEXTS = 4
"""Whole contexts that the cache has room for, unless the catalogue says how much it has."""


class OpenvinoEngine(CompletionEngine):
    """The client of one process."""

    alive = "/health"

    def body(self, job: ChatJob, prompt: Prompt, index: int) -> dict[str, Any]:
        for feature in sorted(job.needs - ENGINE.features):
            raise UnsupportedParameter(f"This engine does not take '{feature}'.", param=feature)
        body = common_body(job, prompt, index, self._deployment.context)
        # What is computed with kept blocks may differ in its last digits: an answer with a seed has none.
        return body | {"partition": job.organization if job.seed is None else ""}


def _command(deployments: Sequence[Deployment], settings: Settings, address: Address) -> list[str]:
    [deployment] = deployments
    if deployment.prepared is None:
        raise ConfigurationError(
            f"The model '{deployment.snapshot}' is not prepared for OpenVINO",
            fix="let Antiphon prepare it, or serve it with the engine `llama`",
        )
    return [
        sys.executable, "-m", "antiphon.workers.chat",
        "--listen", str(address),
        "--model", str(deployment.prepared),
        "--context", str(deployment.context),
        "--slots", str(deployment.slots),
        "--cache-tokens", str(_cache(deployment)),
        "--threads", str(settings.cores),
    ]  # fmt: skip


def _cache(deployment: Deployment) -> int:
    """Few need their whole context at once: who does not fit waits. What is free keeps earlier prompts."""
    whole = deployment.context * deployment.slots
    return int(deployment.options.get("cache_tokens") or min(whole, _CONTEXTS * deployment.context))


def _connect(deployments: Sequence[Deployment], settings: Settings, address: Address) -> OpenvinoEngine:
    [deployment] = deployments
    return OpenvinoEngine(deployment, address)


def _preparation(model: Path, folder: Path) -> list[str]:
    return [
        sys.executable, "-m", "antiphon.workers.chat.prepare",
        "--model", str(model),
        "--out", str(folder),
    ]  # fmt: skip


def _version() -> str:
    try:
        return f"{version('openvino-genai')}-{version('openvino')}"
    except PackageNotFoundError:
        return ""


def _absent(settings: Settings) -> str:
    return "" if _version() else "is not to be had for this system"


def _unsuited(settings: Settings, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Measured on x86 with AVX2: twice llama.cpp's tokens with 32 clients, a seventh less with one."""
    try:
        flags = cpuinfo.read_text().split()
    except OSError:
        return "is only known to be faster on Linux"
    return "" if "avx2" in flags else "is only known to be faster with AVX2"


ENGINE = EngineKind(
    name="openvino",
    task="chat",
    reads=frozenset({"gguf", "safetensors"}),
    command=_command,
    connect=_connect,
    cache=_cache,
    version=lambda settings: _version(),
    features=frozenset({"grammar", "lazy_grammar"}),
    absent=_absent,
    unsuited=_unsuited,
    preparation=_preparation,
    preparation_version=f"{_version()}-{_PREPARATION}",
)
