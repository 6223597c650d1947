"""llama.cpp's own HTTP server as most would run it: its defaults, but for the clients and their context.

python -m benchmarks.chat.peer --model FILE --port N --parallel N --context N --threads N
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

import xllamacpp

from antiphon.workers.parent import exit_with_parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chat.peer", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="GGUF file")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--parallel", type=int, required=True, help="requests at once")
    parser.add_argument("--context", type=int, required=True, help="tokens of each")
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args()
    exit_with_parent()
    params = xllamacpp.CommonParams()
    params.model.path = str(given.model)
    params.hostnames = ["127.0.0.1"]
    params.port = given.port
    params.n_parallel = given.parallel
    params.n_ctx = given.parallel * given.context
    params.cpuparams.n_threads = given.threads
    server = xllamacpp.Server(params)
    while server:  # it serves for as long as it is referred to; SIGTERM ends the process
        signal.pause()


if __name__ == "__main__":
    main()
