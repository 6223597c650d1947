"""`python -m antiphon.workers.chat.prepare`: make the folder that the chat engine loads.

It is made of a GGUF file, or of a folder with safetensors as the Hugging Face hub has them.

Each step forward is a line of JSON on stdout: `{"step": text, "done": n, "total": n}`. The folder is there
when the process ends with code 0, and not at all otherwise. Code 2 and a line on stderr: the engine cannot
take this model; 1: something else went wrong.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from gguf import GGUFReader

from antiphon.workers.chat import hugging_face, tokenizer
from antiphon.workers.chat.convert import convert
from antiphon.workers.chat.figures import ARCHITECTURES
from antiphon.workers.chat.requantize import requantize
from antiphon.workers.chat.tokenizer import Unsupported
from antiphon.workers.parent import exit_with_parent

_FILE = "model.gguf"

Tell = Callable[[str, int, int], None]


def prepare(model: Path, out: Path, tell: Tell) -> None:
    """Make the folder `out`, whole or not at all. Raises `Unsupported`, `OSError`."""
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a preparation that was broken off
    partial.mkdir(parents=True)
    try:
        _fill(model, partial, tell)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fill(model: Path, folder: Path, tell: Tell) -> None:
    tell("reading", 0, 1)

    def quantized(done: int, total: int) -> None:
        tell("reading", 1, 1)  # what is in the file is known, now that its weights come
        tell("quantizing", done, total)

    if model.is_dir():
        hugging_face.convert(model, folder / _FILE, folder, quantized)
    else:
        _convert_gguf(model, folder, quantized)
    tell("converting", 0, 1)
    convert(folder / _FILE)
    (folder / _FILE).unlink()
    tell("converting", 1, 1)


def _convert_gguf(model: Path, folder: Path, tell: Callable[[int, int], None]) -> None:
    try:
        source = GGUFReader(model)
    except (ValueError, IndexError, KeyError):
        raise Unsupported("it is not a GGUF file") from None
    metadata = {name: field.contents() for name, field in source.fields.items()}
    _refuse_unknown(metadata, {tensor.name for tensor in source.tensors})
    tokenizer.build(
        {name: value for name, value in metadata.items() if name.startswith("tokenizer.")}, folder
    )
    requantize(source, folder / _FILE, tell)


def _refuse_unknown(metadata: Mapping[str, Any], tensors: set[str]) -> None:
    """What OpenVINO GenAI would pass over without a word, and then compute something else."""
    architecture = metadata.get("general.architecture")
    if architecture not in ARCHITECTURES.values():
        raise Unsupported(f"its architecture is '{architecture}'")
    of_model = f"{architecture}."
    scaling = metadata.get(f"{of_model}rope.scaling.type", "none")
    if scaling != "none" or "rope_freqs.weight" in tensors:
        raise Unsupported("its positions are scaled")
    if metadata.get(f"{of_model}attention.sliding_window"):
        raise Unsupported("its attention has a window")
    if metadata.get(f"{of_model}expert_count"):
        raise Unsupported("it is a mixture of experts")
    if metadata.get("split.count", 1) > 1:
        raise Unsupported("it is split into several files")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m antiphon.workers.chat.prepare")
    parser.add_argument("--model", type=Path, required=True, help="GGUF file, or folder of safetensors")
    parser.add_argument("--out", type=Path, required=True, help="folder to make; must not exist")
    given = parser.parse_args()
    exit_with_parent()
    os.nice(10)  # requests are being served meanwhile
    try:
        prepare(given.model, given.out, _tell)
    except Unsupported as problem:
        sys.stderr.write(f"OpenVINO cannot serve this model: {problem}\n")
        sys.exit(2)
    except OSError as problem:
        sys.stderr.write(f"The model could not be prepared: {problem.strerror}\n")
        sys.exit(1)


def _tell(step: str, done: int, total: int) -> None:
    sys.stdout.write(msgspec.json.encode({"step": step, "done": done, "total": total}).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
