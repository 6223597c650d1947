"""OpenVINO GenAI's continuous batching, as the scheduler uses it. Every call belongs to one thread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
import numpy as np

from antiphon.workers.chat.partitions import marked
from antiphon.workers.chat.prefixes import BLOCK

_STEP_TOKENS = 128
"""Of prompts and answers, computed in one step: a long prompt holds others up no longer than that.

More would make prompts a little faster to read, and the longest gaps of others half as long again. If more
answers run than that, the first of them go on first.
"""
PRECISION = {"INFERENCE_PRECISION_HINT": "f32"}
"""Of what is computed between weights of 8 bits. A processor with BF16 would take that by itself, whose steps
are as large as 2 where logits are: likely and unlikely tokens would look alike."""
_TRIAL = 8
"""Tokens of the answers that are compared at the start."""

Finish = Literal["", "eos", "limit", "failed"]


class Output(msgspec.Struct, frozen=True):
    """What a request has generated since it was read last, and whether that is all."""

    tokens: list[int] = []
    finish: Finish = ""


class Running(Protocol):
    """A request in the pipeline."""

    def read(self) -> Output:
        """What is new; never waits."""

    def cancel(self) -> None:
        """Give it up; it is gone after the next step."""


class Pipeline(Protocol):
    """Requests are computed side by side, a step at a time."""

    blocks: int

    def add(self, prompt: Sequence[int], generation: dict[str, Any], grammar: str) -> Running:
        """`generation` and `grammar` as `options` makes them."""

    def step(self) -> None:
        """Compute a little of everything that was added. What this raises leaves the pipeline unusable."""


class OpenvinoPipeline:
    """One model, loaded. Raises `RuntimeError` if it is not what is expected of it."""

    def __init__(self, folder: Path, *, cache_tokens: int, threads: int, sequences: int) -> None:
        import openvino_genai as genai  # takes a second, and is for this process alone

        self._genai = genai
        # And one for each request, whose last block is copied before it is written to if others share it.
        self.blocks = -(-cache_tokens // BLOCK) + sequences
        config = genai.SchedulerConfig()
        config.num_kv_blocks = self.blocks
        config.max_num_batched_tokens = _STEP_TOKENS
        config.max_num_seqs = sequences
        config.dynamic_split_fuse = True
        config.enable_prefix_caching = True
        properties = {**PRECISION, "INFERENCE_NUM_THREADS": threads, "sampler_num_threads": 1}
        self._pipeline = genai.ContinuousBatchingPipeline(str(folder), config, "CPU", properties)
        self._added = 0

    def add(self, prompt: Sequence[int], generation: dict[str, Any], grammar: str) -> Running:
        from openvino import Tensor

        given = dict(generation)
        if grammar:
            given["structured_output_config"] = self._genai.StructuredOutputConfig(grammar=grammar)
        tokens = Tensor(np.array([prompt], np.int64))
        self._added += 1
        config = self._genai.GenerationConfig(**given)
        return _Running(self._pipeline.add_request(self._added, tokens, config), self._genai)

    def step(self) -> None:
        self._pipeline.step()

    def try_out(self, prompt: Sequence[int], generation: dict[str, Any]) -> None:
        """Answer once, so that the first request does not pay for what is done once, and once more to see
        that a partition's number changes nothing. Raises `RuntimeError` if it does."""
        greedy = generation | {"do_sample": False, "max_new_tokens": _TRIAL}
        plain, apart = (self._answer(given, greedy) for given in (prompt, marked(prompt, 2**31 - 1)))
        if not plain or plain != apart:
            raise RuntimeError("this build of OpenVINO does not keep partitions apart")

    def _answer(self, prompt: Sequence[int], generation: dict[str, Any]) -> list[int]:
        running = self.add(prompt, generation, "")
        tokens: list[int] = []
        while True:
            self.step()
            output = running.read()
            tokens += output.tokens
            if output.finish:
                return tokens


class _Running:
    """A generation handle."""

    def __init__(self, handle: Any, genai: Any) -> None:
        self._handle, self._genai = handle, genai

    def read(self) -> Output:
        tokens: list[int] = []
        finish: Finish = ""
        reasons = self._genai.GenerationFinishReason
        while self._handle.can_read():
            for output in self._handle.read().values():
                tokens += output.generated_ids
                if output.finish_reason != reasons.NONE:
                    finish = "limit" if output.finish_reason == reasons.LENGTH else "eos"
        if not finish and self._handle.get_status() == self._genai.GenerationStatus.IGNORED:
            finish = "failed"
        return Output(tokens, finish)

    def cancel(self) -> None:
        self._handle.cancel()
