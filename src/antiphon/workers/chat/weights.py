"""The tensors of a model written as a GGUF file, in the kinds of numbers that OpenVINO GenAI reads.

Files are mapped, and a tensor is made a few rows at a time: in memory is what is written of one, and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
from gguf import GGML_QUANT_SIZES, GGUFWriter
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize, quantize

_AT_ONCE = 1 << 22
"""Weights that are made at once."""


class Weights(NamedTuple):
    """One tensor of a file."""

    name: str
    """As GGUF has it."""
    kind: Kind
    """As `data` is stored."""
    shape: tuple[int, ...]
    """In numpy's order: a row is along the last."""
    data: Any
    """What `gguf.quants` reads: numbers, or the bytes of rows."""
    order: Any = None
    """The rows' places in `data`, where they are written in another order."""
    kept: bool = False
    """Whether it is written as it is stored."""


class _Layout(NamedTuple):
    """How a tensor is written: numpy's shape and type."""

    kind: Kind
    shape: tuple[int, ...]
    dtype: Any

    @property
    def size(self) -> int:
        """In bytes."""
        return prod(self.shape) * int(np.dtype(self.dtype).itemsize)


def write(
    writer: GGUFWriter, tensors: Sequence[Weights], tell: Callable[[int, int], None], kind: Kind
) -> None:
    """End a file that has its metadata; `tell` is given tensors done and their number.

    `kind` is one of F32, F16, Q8_0 and Q4_0. What has one dimension becomes F32, and what cannot be cut into
    the kind's blocks F16.
    """
    layouts = [_layout(tensor, kind) for tensor in tensors]
    for tensor, layout in zip(tensors, layouts, strict=True):
        writer.add_tensor_info(
            tensor.name, layout.shape, np.dtype(layout.dtype), layout.size, raw_dtype=layout.kind
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for done, (tensor, layout) in enumerate(zip(tensors, layouts, strict=True), 1):
        writer.write_tensor_data(_made(tensor, layout))
        tell(done, len(tensors))
    writer.close()


def _layout(tensor: Weights, wanted: Kind) -> _Layout:
    kind = _kind(tensor, wanted)
    if kind == tensor.kind:
        return _Layout(kind, tensor.data.shape, tensor.data.dtype)
    block, size = GGML_QUANT_SIZES[kind]
    dtype = {Kind.F32: np.float32, Kind.F16: np.float16}.get(kind)
    if dtype is None:
        return _Layout(kind, (*tensor.shape[:-1], tensor.shape[-1] // block * size), np.uint8)
    return _Layout(kind, tensor.shape, dtype)


def _kind(tensor: Weights, wanted: Kind) -> Kind:
    if tensor.kept:
        return tensor.kind
    if len(tensor.shape) == 1:
        return Kind.F32
    block, _ = GGML_QUANT_SIZES[wanted]
    return Kind.F16 if tensor.shape[-1] % block else wanted


def _made(tensor: Weights, layout: _Layout) -> Any:
    if layout.kind == tensor.kind and tensor.order is None:
        return tensor.data
    made = np.empty(layout.shape, layout.dtype)
    for rows in _parts(tensor.shape):
        part = tensor.data[rows if tensor.order is None else tensor.order[rows]]
        made[rows] = quantize(dequantize(part, tensor.kind), layout.kind)
    return made


def _parts(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices of the first dimension; a tensor of one is a single row."""
    if len(shape) == 1:
        yield slice(None)
        return
    step = max(1, _AT_ONCE // prod(shape[1:]))
    for start in range(0, shape[0], step):
        yield slice(start, start + step)
