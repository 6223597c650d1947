"""A GGUF file in another kind of numbers: OpenVINO GenAI reads few of the format's many."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gguf import GGML_QUANT_SIZES, GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize, quantize

_FILE_TYPES = {
    Kind.F32: LlamaFileType.ALL_F32,
    Kind.F16: LlamaFileType.MOSTLY_F16,
    Kind.Q8_0: LlamaFileType.MOSTLY_Q8_0,
    Kind.Q4_0: LlamaFileType.MOSTLY_Q4_0,
}
_KEPT = {Kind.F32, Kind.F16}
"""Not made smaller where weights are made of 8 bits."""


class _Layout(NamedTuple):
    """How a tensor is stored: numpy's shape and type of what is written."""

    shape: tuple[int, ...]
    dtype: Any
    bytes: int


def requantize(
    source: GGUFReader, target: Path, tell: Callable[[int, int], None], kind: Kind = Kind.Q8_0
) -> None:
    """Write the model anew, one tensor in memory at a time; `tell` is given tensors done and their number.

    `kind` is one of F32, F16, Q8_0 and Q4_0. What has one dimension becomes F32, and what cannot be cut into
    the kind's blocks F16; with Q8_0, what has more bits already is kept.
    """
    writer = GGUFWriter(target, source.fields["general.architecture"].contents())
    _copy_metadata(source, writer, kind)
    kinds = [_kind(tensor, kind) for tensor in source.tensors]
    for tensor, own in zip(source.tensors, kinds, strict=True):
        layout = _layout(tensor, own)
        writer.add_tensor_info(tensor.name, layout.shape, layout.dtype, layout.bytes, raw_dtype=own)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for done, (tensor, own) in enumerate(zip(source.tensors, kinds, strict=True), 1):
        writer.write_tensor_data(_data(tensor, own))
        tell(done, len(source.tensors))
    writer.close()


def _copy_metadata(source: GGUFReader, writer: GGUFWriter, kind: Kind) -> None:
    for name, field in source.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        if name == "general.file_type":
            writer.add_file_type(_FILE_TYPES[kind])
        elif field.types[0] == GGUFValueType.ARRAY:
            writer.add_array(name, field.contents())
        else:
            writer.add_key_value(name, field.contents(), field.types[0])


def _kind(tensor: Any, wanted: Kind) -> Kind:
    """In which it is written."""
    if wanted == Kind.Q8_0 and tensor.tensor_type in _KEPT:
        return Kind(tensor.tensor_type)
    if len(tensor.shape) == 1:
        return Kind.F32
    block, _ = GGML_QUANT_SIZES[wanted]
    return Kind.F16 if tensor.shape[0] % block else wanted


def _layout(tensor: Any, kind: Kind) -> _Layout:
    if kind == tensor.tensor_type:
        return _Layout(tensor.data.shape, tensor.data.dtype, tensor.n_bytes)
    shape = tuple(int(size) for size in reversed(tensor.shape))
    block, size = GGML_QUANT_SIZES[kind]
    dtype = {Kind.F32: np.float32, Kind.F16: np.float16}.get(kind, np.uint8)
    if dtype == np.uint8:
        shape = (*shape[:-1], shape[-1] // block * size)
    return _Layout(shape, np.dtype(dtype), int(np.prod(shape)) * np.dtype(dtype).itemsize)


def _data(tensor: Any, kind: Kind) -> Any:
    if kind == tensor.tensor_type:
        return tensor.data
    weights = dequantize(tensor.data, tensor.tensor_type)
    if kind in (Kind.F32, Kind.F16):
        return weights.astype(np.float16 if kind == Kind.F16 else np.float32)
    return quantize(weights, kind)
