"""llama.cpp through `xllamacpp`: any GGUF model, in a process that runs llama.cpp's own HTTP server."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, get_args

from antiphon.address import Address
from antiphon.engines.base import EngineKind
from antiphon.engines.completion import CompletionEngine, common_body
from antiphon.engines.slots import Slots
from antiphon.settings import Settings
from antiphon.values import ChatJob, Deployment, Feature, Prompt


class LlamaEngine(CompletionEngine):
    """The client of one llama.cpp process."""

    # Unlike /health and /slots, this is answered by the loop that computes.
    alive = "/lora-adapters"

    def __init__(self, deployment: Deployment, address: Address, slots: Slots | None = None) -> None:
        """`slots`: those of the process, if all its requests come from here; else no prompt is kept."""
        super().__init__(deployment, address)
        self._slots = slots

    @contextmanager
    def place(self, job: ChatJob, prompt: Prompt) -> Iterator[dict[str, Any]]:
        if self._slots is None:
            yield {}
            return
        with self._slots.take(job.organization, prompt.tokens) as slot:
            # What is kept was computed in other steps, and may differ in the last digit: not for fixed seeds.
            # Several choices are to begin in one step, for the same reason.
            yield {"id_slot": slot.id, "cache_prompt": slot.reuse and job.seed is None and job.n == 1}

    def body(self, job: ChatJob, prompt: Prompt, index: int) -> dict[str, Any]:
        self.refuse_unknown_tokens(job)
        return completion_body(job, prompt, index, self._deployment.context)


def completion_body(job: ChatJob, prompt: Prompt, index: int, context: int) -> dict[str, Any]:
    """The body of `/completion`. Samplers that the API does not know are switched off."""
    body = common_body(job, prompt, index, context) | {
        # A frame for every step of a long prompt: writing them is how llama.cpp notices that nobody listens.
        "return_progress": True,
        "top_k": 0,
        "min_p": 0.0,
        "repeat_last_n": context,
        "logit_bias": [[token, bias] for token, bias in job.logit_bias.items()],
    }
    if job.form is not None and job.form.trigger:
        # In case that it is one token, which has to be asked for by name.
        body["preserved_tokens"] = [job.form.trigger]
    if job.logprobs:
        body["n_probs"] = max(1, job.top_logprobs)
    return body


def command(deployments: Sequence[Deployment], settings: Settings, address: Address) -> list[str]:
    """The process of one model, of chat unless more is said."""
    [deployment] = deployments
    return [
        sys.executable, "-m", "antiphon.workers.llama",
        "--listen", str(address),
        "--model", str(deployment.model),
        "--context", str(deployment.context),
        "--slots", str(deployment.slots),
        "--threads", str(settings.cores),
    ]  # fmt: skip


def _connect(deployments: Sequence[Deployment], settings: Settings, address: Address) -> LlamaEngine:
    [deployment] = deployments
    return LlamaEngine(deployment, address, Slots(deployment.slots) if settings.processes == 1 else None)


ENGINE = EngineKind(
    name="llama",
    task="chat",
    reads=frozenset({"gguf"}),
    version=lambda settings: version("xllamacpp"),
    features=frozenset(get_args(Feature)),
    command=command,
    connect=_connect,
)
