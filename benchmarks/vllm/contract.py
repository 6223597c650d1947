"""The contract of chat engines, run over the real vLLM."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from antiphon.engines.vllm import told
from benchmarks.runs import ROOT
from benchmarks.vllm.values import Contract, Options

TESTS = "tests/engines/test_contract.py"
SECONDS = 3600
_COUNTS = re.compile(r"(\d+) (passed|skipped|failed|error)")


def contract(program: Path, options: Options, environment: Mapping[str, str]) -> Contract:
    """Blocks, for minutes. Raises `RuntimeError`, with the end of what was printed, if no test was run."""
    with TemporaryDirectory(prefix="antiphon-") as folder:
        return _run(wrapped(program, options, Path(folder)), environment)


def wrapped(program: Path, options: Options, folder: Path) -> Path:
    """A program that tells vLLM these options besides what it is told itself."""
    path = folder / "vllm"
    words = shlex.join([f"--{word}" for word in told(options)])
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(str(program))} "$@" {words}\n')
    path.chmod(0o700)
    return path


def _run(program: Path, environment: Mapping[str, str]) -> Contract:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--timeout", "1200", TESTS]
    surroundings = {
        **os.environ,
        **environment,
        "ANTIPHON_VLLM_COMMAND": str(program),
        "ANTIPHON_ENGINE_START_SECONDS": "900",
    }
    begun = time.monotonic()
    done = subprocess.run(
        [*command, "-k", "vllm"], cwd=ROOT, env=surroundings, capture_output=True, text=True, timeout=SECONDS
    )
    return counted(done.stdout, time.monotonic() - begun)


def counted(printed: str, seconds: float) -> Contract:
    """What the last line of pytest says. Raises `RuntimeError` if it says nothing."""
    last = printed.strip().splitlines()[-1:]
    counts = {kind: int(number) for number, kind in _COUNTS.findall(*last)} if last else {}
    if not counts:
        raise RuntimeError(f"the contract was not run:\n{printed[-2000:]}")
    return Contract(
        passed=counts.get("passed", 0),
        skipped=counts.get("skipped", 0),
        failed=counts.get("failed", 0) + counts.get("error", 0),
        seconds=seconds,
    )
