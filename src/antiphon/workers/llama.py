"""The process of chat or of embeddings: llama.cpp's own HTTP server.

Who may reach it may use every endpoint of llama.cpp: a socket's folder must be private; by TCP it asks for a
secret.
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

import xllamacpp

from antiphon.address import Address, listening
from antiphon.values import Pooling
from antiphon.workers.parent import exit_with_parent

_BATCH = range(32, 129)
"""Smallest and largest number of prompt tokens computed in one step."""
_BATCH_BYTES = 256 * 128 * 1024 * 1024
"""Model bytes times prompt tokens that two cores compute in about a second."""
_CHOICES = 8
"""Requests that one slot's holder may send at once: one for each of the `n` choices of a chat."""
_SPARE_CONNECTIONS = 32
_POOLING = {
    "mean": xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN,
    "cls": xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_CLS,
    "last": xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_LAST,
}


def batch(model_bytes: int) -> int:
    """Prompt tokens a step: a cancelled prompt holds its slot, and a probe waits, until a step ends."""
    return max(_BATCH.start, min(_BATCH.stop - 1, _BATCH_BYTES // max(1, model_bytes)))


def parameters(
    listen: Address, model: Path, context: int, slots: int, threads: int, pooling: Pooling | None = None
) -> xllamacpp.CommonParams:
    """llama.cpp's settings: `slots` requests at once, each with `context` tokens of its own.

    With `pooling` it makes vectors of texts instead of going on with them.
    """
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.hostnames = [listen.path or listen.host]
    if not listen.path:
        params.port = listen.port
        params.api_keys = [listen.secret]

    params.n_parallel = slots
    params.n_ctx = context * slots
    params.fit_params = False  # the context is a promise: too large for this machine must fail, not shrink
    params.ctx_shift = False
    params.n_batch = params.n_ubatch = max(slots, batch(model.stat().st_size))
    if pooling is not None:
        params.embedding = True
        params.pooling_type = _POOLING[pooling]
        if pooling == "last":
            params.n_ctx = (context + 1) * slots  # behind what may be read in steps, a place stays free
        else:
            # A text is read in one step: each of its tokens may look at all others.
            params.n_batch = params.n_ubatch = max(slots, context)
    params.cpuparams.n_threads = threads
    # An HTTP connection, idle ones included, holds a thread, and no probe may wait for one.
    params.n_threads_http = slots * _CHOICES + _SPARE_CONNECTIONS

    # What one organization asked must not show in how fast another is answered: of what is kept between
    # requests nothing is used unless a request names the slot and asks for it.
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.slot_prompt_similarity = 0.0

    params.endpoint_slots = True
    params.endpoint_metrics = True
    params.ui = False
    params.verbosity = 0  # anything above may log prompts
    return params


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", type=listening, required=True, help="unix:/PATH, or tcp:HOST:PORT")
    parser.add_argument("--model", type=Path, required=True, help="GGUF file")
    parser.add_argument("--context", type=int, required=True, help="tokens of prompt and answer, per slot")
    parser.add_argument("--slots", type=int, required=True, help="requests served at once")
    parser.add_argument("--threads", type=int, required=True, help="processor threads")
    parser.add_argument(
        "--pooling", choices=_POOLING, help="embed, and make one vector of all tokens like this"
    )
    given = parser.parse_args()
    exit_with_parent()
    server = xllamacpp.Server(parameters(**vars(given)))
    while server:  # it serves for as long as it is referred to; SIGTERM ends the process
        signal.pause()


if __name__ == "__main__":
    main()
