"""A GGUF file in another kind of numbers: OpenVINO GenAI reads few of the format's many."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gguf import GGMLQuantizationType as Kind
from gguf import GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType

from antiphon.workers.chat.weights import Weights, write

FILE_TYPES = {
    Kind.F32: LlamaFileType.ALL_F32,
    Kind.F16: LlamaFileType.MOSTLY_F16,
    Kind.Q8_0: LlamaFileType.MOSTLY_Q8_0,
    Kind.Q4_0: LlamaFileType.MOSTLY_Q4_0,
}
_KEPT = {Kind.F32, Kind.F16}
"""Not made smaller where weights are made of 8 bits."""


def requantize(
    source: GGUFReader, target: Path, tell: Callable[[int, int], None], kind: Kind = Kind.Q8_0
) -> None:
    """Write the model anew, as `weights.write` has it; with Q8_0, what has more bits already is kept."""
    writer = GGUFWriter(target, source.fields["general.architecture"].contents())
    _copy_metadata(source, writer, kind)
    tensors = [
        Weights(
            name=tensor.name,
            kind=Kind(tensor.tensor_type),
            shape=tuple(int(size) for size in reversed(tensor.shape)),
            data=tensor.data,
            kept=kind == Kind.Q8_0 and tensor.tensor_type in _KEPT,
        )
        for tensor in source.tensors
    ]
    write(writer, tensors, tell, kind)


def _copy_metadata(source: GGUFReader, writer: GGUFWriter, kind: Kind) -> None:
    for name, field in source.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        if name == "general.file_type":
            writer.add_file_type(FILE_TYPES[kind])
        elif field.types[0] == GGUFValueType.ARRAY:
            writer.add_array(name, field.contents())
        else:
            writer.add_key_value(name, field.contents(), field.types[0])
