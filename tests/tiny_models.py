"""Models of a few kilobytes: right in form, so that all that reads them can, and of no use to anyone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
from gguf import GGUFWriter

TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def write_gguf(
    path: Path,
    *,
    context: int | None = 2048,
    template: str | None = TEMPLATE,
    kind: str = "model",
    splits: int = 0,
) -> Path:
    """A GGUF file with one tensor of 4 KiB."""
    writer = GGUFWriter(path, "llama")
    writer.add_type(kind)
    writer.add_license("mit")
    if context is not None:
        writer.add_context_length(context)
    if template is not None:
        writer.add_chat_template(template)
    if splits:
        writer.add_uint16("split.count", splits)
    writer.add_tensor("token_embd.weight", numpy.arange(1024, dtype=numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def whisper_files(spec: bytes = b"WhisperSpec") -> dict[str, bytes]:
    """The files of a CTranslate2 Whisper model."""
    return {
        "config.json": json.dumps({"lang_ids": [50259]}).encode(),
        "model.bin": b"\x06\0\0\0\x0c\0" + spec + bytes(range(256)) * 16,
        "tokenizer.json": b"{}",
        "vocabulary.txt": b"a\nb\n",
    }


def write_whisper(folder: Path, spec: bytes = b"WhisperSpec") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in whisper_files(spec).items():
        (folder / name).write_bytes(content)
    return folder
