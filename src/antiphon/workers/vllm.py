"""`python -m antiphon.workers.vllm`: run vLLM's own server, for as long as we live.

It is a program of another environment: nothing of it is imported. Who may reach it may use every endpoint
of vLLM: a socket's folder must be private, and before a TCP port stands our guard.
"""

from __future__ import annotations

import argparse
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from antiphon.address import listening
from antiphon.workers import guard
from antiphon.workers.parent import exit_with_parent

_GUARD = "antiphon_guard.Guard"
_BLOCK = 64
"""Tokens of a block of the cache, where its size is said."""
_ALWAYS = {
    # /is_sleeping is answered by the process that computes.
    "VLLM_SERVER_DEV_MODE": "1",
    # What is served here is told to nobody, and nothing is fetched.
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
}


def command(given: argparse.Namespace) -> list[str]:
    """vLLM's argument list. Sampling is as requests say, not as the model's folder would have it."""
    arguments = [
        given.program, "serve", str(given.model),
        "--served-model-name", given.name,
        "--max-model-len", str(given.context),
        "--max-num-seqs", str(given.slots),
        "--generation-config", "vllm",
        "--enable-prefix-caching",
        "--enable-prompt-tokens-details",
        "--no-enable-log-requests",
        "--disable-uvicorn-access-log",
    ]  # fmt: skip
    if given.listen.path:
        arguments += ["--uds", given.listen.path]
    else:
        arguments += ["--host", given.listen.host, "--port", str(given.listen.port), "--middleware", _GUARD]
    if given.cache_tokens:
        blocks = -(-given.cache_tokens // _BLOCK)
        arguments += ["--block-size", str(_BLOCK), "--num-gpu-blocks-override", str(blocks)]
    return [*arguments, *(f"--{one}" for one in given.set)]


def environment(home: Path, ray_address: str = "", given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What it is told besides. `home` outlives the process: compiling takes minutes."""
    # A cluster of this machine is found by what it left in Ray's usual folder, which is not this process's.
    ray = {"RAY_ADDRESS": ray_address, "RAY_TMPDIR": "/tmp"} if ray_address else {}
    shown = _shown() if ray_address else {}
    own = {"HOME": str(home), "PYTHONPATH": str(Path(guard.__file__).parent)}
    return {**shown, **given, **own, **ray, **_ALWAYS}


def _shown() -> dict[str, str]:
    """What a Ray cluster is shown, unless the environment says otherwise: the token in the user's home, where
    Ray puts it, and which is not this process's."""
    try:
        token = {"RAY_AUTH_TOKEN_PATH": f"{pwd.getpwuid(os.getuid()).pw_dir}/.ray/auth_token"}
    except KeyError:  # nobody that this machine knows by name
        token = {}
    return {"RAY_AUTH_MODE": "token", **token}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m antiphon.workers.vllm", description=__doc__)
    parser.add_argument("--program", required=True, help="vLLM's program")
    parser.add_argument("--listen", type=listening, required=True, help="unix:/PATH, or tcp:HOST:PORT")
    parser.add_argument("--model", type=Path, required=True, help="folder of safetensors")
    parser.add_argument("--name", required=True, help="what requests call the model")
    parser.add_argument("--context", type=int, required=True, help="tokens of prompt and answer")
    parser.add_argument("--slots", type=int, required=True, help="requests served at once")
    parser.add_argument(
        "--cache-tokens", type=int, required=True, help="tokens kept in memory; 0: all it has"
    )
    parser.add_argument("--home", type=Path, required=True, help="folder where it keeps what it compiled")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a further option of vLLM's own"
    )
    parser.add_argument("--ray-address", default="", help="the Ray cluster on which it computes, if on any")
    given = parser.parse_args()
    exit_with_parent(group=True)
    # Who ends an engine ends its group: vLLM is told as well, and takes its time.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    given.home.mkdir(parents=True, exist_ok=True)
    code = subprocess.run(
        command(given), env=environment(given.home, given.ray_address), check=False
    ).returncode
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
