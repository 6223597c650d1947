"""A GGUF file in 8 bits: OpenVINO GenAI reads few of the format's many kinds of weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
from gguf.quants import dequantize, quantize

_KEPT = {GGMLQuantizationType.F32, GGMLQuantizationType.F16, GGMLQuantizationType.Q8_0}
_MOSTLY_Q8_0 = 7
"""The number of the kind of file."""


class _Layout(NamedTuple):
    """How a tensor is stored: numpy's shape and type of what is written, and the format's type."""

    shape: tuple[int, ...]
    dtype: Any
    bytes: int
    kind: GGMLQuantizationType


def requantize(source: GGUFReader, target: Path, tell: Callable[[int, int], None]) -> None:
    """Write the model anew, one tensor in memory at a time; `tell` is given tensors done and their number."""
    writer = GGUFWriter(target, source.fields["general.architecture"].contents())
    _copy_metadata(source, writer)
    for tensor in source.tensors:
        shape, dtype, size, kind = _layout(tensor)
        writer.add_tensor_info(tensor.name, shape, dtype, size, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for done, tensor in enumerate(source.tensors, 1):
        writer.write_tensor_data(_data(tensor))
        tell(done, len(source.tensors))
    writer.close()


def _copy_metadata(source: GGUFReader, writer: GGUFWriter) -> None:
    for name, field in source.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        if name == "general.file_type":
            writer.add_file_type(_MOSTLY_Q8_0)
        elif field.types[0] == GGUFValueType.ARRAY:
            writer.add_array(name, field.contents())
        else:
            writer.add_key_value(name, field.contents(), field.types[0])


def _layout(tensor: Any) -> _Layout:
    kind = _kind(tensor)
    if kind == tensor.tensor_type:
        return _Layout(tensor.data.shape, tensor.data.dtype, tensor.n_bytes, kind)
    shape = tuple(int(size) for size in reversed(tensor.shape))
    if kind == GGMLQuantizationType.F32:
        return _Layout(shape, np.dtype(np.float32), 4 * tensor.n_elements, kind)
    if kind == GGMLQuantizationType.F16:
        return _Layout(shape, np.dtype(np.float16), 2 * tensor.n_elements, kind)
    row = shape[-1] // 32 * 34  # a scale of two bytes for 32 weights
    return _Layout((*shape[:-1], row), np.dtype(np.uint8), int(np.prod(shape[:-1])) * row, kind)


def _kind(tensor: Any) -> GGMLQuantizationType:
    if tensor.tensor_type in _KEPT:
        return GGMLQuantizationType(tensor.tensor_type)
    if len(tensor.shape) == 1:
        return GGMLQuantizationType.F32
    return GGMLQuantizationType.F16 if tensor.shape[0] % 32 else GGMLQuantizationType.Q8_0


def _data(tensor: Any) -> Any:
    kind = _kind(tensor)
    if kind == tensor.tensor_type:
        return tensor.data
    weights = dequantize(tensor.data, tensor.tensor_type)
    if kind == GGMLQuantizationType.Q8_0:
        return quantize(weights, kind)
    return weights.astype(np.float16 if kind == GGMLQuantizationType.F16 else np.float32)
