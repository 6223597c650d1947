"""The tensors of safetensors files: eight bytes of length, a header of JSON, then the numbers.

What the header says is checked before any of it is used: the tensors cover the rest of the file exactly, one
after the other. Files are mapped, never read whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from gguf import GGMLQuantizationType as Kind
from msgspec import Meta

from antiphon.workers.chat.tokenizer import Unsupported
from antiphon.workers.chat.weights import Weights

LONGEST_HEADER = 32 * 1024 * 1024
"""In bytes; a model of a thousand layers has some two million."""
_LENGTH = 8
_ABOUT = "__metadata__"
_KINDS: dict[str, tuple[Kind, Any, int]] = {
    "F32": (Kind.F32, np.float32, 4),
    "F16": (Kind.F16, np.float16, 2),
    "BF16": (Kind.BF16, np.uint8, 2),
}
"""As GGUF calls it, as numpy reads it (bytes, where it has no such numbers), and bytes of a number."""

Size = Annotated[int, Meta(ge=0, le=2**48)]


class _Tensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dtype: Annotated[str, Meta(max_length=16)]
    shape: Annotated[tuple[Size, ...], Meta(min_length=1, max_length=2)]
    data_offsets: tuple[Size, Size]


def read(files: Sequence[Path]) -> dict[str, Weights]:
    """Every tensor of all files, by its name there. Raises `Unsupported`, `OSError`."""
    found: dict[str, Weights] = {}
    for file in files:
        tensors = _read(file)
        if not found.keys().isdisjoint(tensors):
            raise Unsupported("two of its files have the same tensor")
        found |= tensors
    return found


def _read(file: Path) -> dict[str, Weights]:
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(_LENGTH), "little")
        if length > min(LONGEST_HEADER, size - _LENGTH):
            raise Unsupported("a file is not safetensors, or too short")
        header = _header(opened.read(length))
    left = size - _LENGTH - length
    _refuse_gaps(header, left)
    if not left:
        return {}
    numbers = np.memmap(file, np.uint8, mode="r", offset=_LENGTH + length)
    return {name: _weights(name, tensor, numbers) for name, tensor in header.items()}


def _header(text: bytes) -> dict[str, _Tensor]:
    try:
        values = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        values.pop(_ABOUT, None)
        return {name: msgspec.json.decode(value, type=_Tensor) for name, value in values.items()}
    except (msgspec.DecodeError, RecursionError):
        raise Unsupported("the header of a safetensors file is not as it should be") from None


def _refuse_gaps(header: dict[str, _Tensor], size: int) -> None:
    """Tensors that overlap, leave gaps, end elsewhere than the file, or are not as long as their shape."""
    end = 0
    for tensor in sorted(header.values(), key=lambda tensor: tensor.data_offsets):
        if tensor.dtype not in _KINDS:
            raise Unsupported("its weights are in numbers that are not known here")
        _, _, bytes_each = _KINDS[tensor.dtype]
        begin, after = tensor.data_offsets
        if begin != end or after - begin != prod(tensor.shape) * bytes_each:
            raise Unsupported("the tensors of a safetensors file do not lie one after the other")
        end = after
    if end != size:
        raise Unsupported("the tensors of a safetensors file do not end where it does")


def _weights(name: str, tensor: _Tensor, numbers: Any) -> Weights:
    kind, dtype, bytes_each = _KINDS[tensor.dtype]
    begin, after = tensor.data_offsets
    row = tensor.shape[-1] * bytes_each // np.dtype(dtype).itemsize
    data = numbers[begin:after].view(dtype).reshape((*tensor.shape[:-1], row))
    return Weights(name, kind, tensor.shape, data)
