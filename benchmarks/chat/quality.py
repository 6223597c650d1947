"""Whether answers are as good as what the model's file says: greedy answers, and perplexity."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader

from antiphon.workers.chat.convert import convert
from antiphon.workers.chat.pipeline import PRECISION
from antiphon.workers.chat.requantize import requantize
from antiphon.workers.chat.tokenizer import load
from benchmarks.chat.client import Target, ask, body, session
from benchmarks.chat.loads import WORDS
from benchmarks.chat.values import Agreement
from benchmarks.runs import ROOT

ANSWER_TOKENS = 64
WINDOW = 512
FORMS = (
    "What is a {}?",
    "Name three things that have to do with {}.",
    "Write a sentence about {} and {}.",
    "Explain to a child how {} and {} belong together.",
)


def questions(number: int) -> list[str]:
    """Always the same ones."""
    words = iter(WORDS * 8)
    return [
        FORMS[n % len(FORMS)].format(*(next(words) for _ in range(FORMS[n % len(FORMS)].count("{}"))))
        for n in range(number)
    ]


async def answers(target: Target, asked: Sequence[str]) -> list[str]:
    """Greedy ones, asked one after the other."""
    async with session(target) as opened:
        return [
            (await ask(opened, target, body(target, [{"role": "user", "content": q}], ANSWER_TOKENS))).text
            for q in asked
        ]


def agreement(side: str, found: Sequence[str], reference: Sequence[str]) -> Agreement:
    shares = []
    for ours, theirs in zip(found, reference, strict=True):
        shares.append(len(os.path.commonprefix([ours, theirs])) / max(len(ours), len(theirs), 1))
    return Agreement(
        side=side,
        questions=len(shares),
        same=sum(a == b for a, b in zip(found, reference, strict=True)),
        shared=sum(shares) / len(shares),
    )


async def perplexity(folder: Path, tokens: int) -> float:
    """Of a model that was prepared for OpenVINO, on windows of this project's own documentation."""
    return await asyncio.to_thread(_perplexity, folder, tokens)


async def reference_perplexity(model: Path, prepared: Path, tokens: int) -> float:
    """The same of the file's weights in 16 bits; `prepared` lends the vocabulary."""
    return await asyncio.to_thread(_reference, model, prepared, tokens)


def _reference(model: Path, prepared: Path, tokens: int) -> float:
    with TemporaryDirectory(prefix="antiphon-") as made:
        folder = Path(made)
        file = folder / "model.gguf"
        requantize(GGUFReader(model), file, lambda done, total: None, GGMLQuantizationType.F16)
        convert(file)
        for path in prepared.iterdir():
            if not (folder / path.name).exists():
                copyfile(path, folder / path.name)
        return _perplexity(folder, tokens)


def _perplexity(folder: Path, tokens: int) -> float:
    import openvino  # takes a second, and is not there on every system

    text = "\n".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))
    ids = load(folder).encode([text])[:tokens]
    windows = [ids[at : at + WINDOW] for at in range(0, len(ids) - WINDOW + 1, WINDOW)]
    model = openvino.Core().compile_model(folder / "openvino_model.xml", "CPU", PRECISION)
    lost = [loss for window in windows for loss in _losses(model.create_infer_request(), window)]
    return float(np.exp(np.mean(lost)))


def _losses(request: Any, window: Sequence[int]) -> Any:
    """Of each token but the first, given those before it in the window."""
    count = len(window)
    given = {
        "input_ids": np.array([window], np.int64),
        "attention_mask": np.ones((1, count), np.int64),
        "position_ids": np.arange(count, dtype=np.int64)[None],
        "beam_idx": np.zeros(1, np.int32),
    }
    logits = np.asarray(request.infer(given)[0][0], np.float64)[:-1]
    logits -= logits.max(axis=1, keepdims=True)
    chosen = logits[np.arange(count - 1), list(window[1:])]
    return np.log(np.exp(logits).sum(axis=1)) - chosen
