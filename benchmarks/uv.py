"""uv, for environments of other programs: that of this project where it is, else the system's."""

from __future__ import annotations

import subprocess

from benchmarks.runs import ROOT

SECONDS = 1800


def uv(*arguments: str) -> None:
    """Run it, without its settings. Blocks. Raises `RuntimeError` with the end of what it said."""
    own = ROOT / ".uv" / "bin" / "uv"
    command = [str(own) if own.exists() else "uv", "--no-config", *arguments]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.CalledProcessError as problem:
        raise RuntimeError(f"cannot be installed: {problem.stderr.strip()[-400:]}") from None
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise RuntimeError(f"cannot be installed: {problem}") from None
