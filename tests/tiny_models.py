"""Models of a few kilobytes: right in form, so that all that reads them can, and of no use to anyone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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
    numbers: Mapping[str, int] = {},
) -> Path:
    """A GGUF file with one tensor of 4 KiB; `numbers` are said of it as well."""
    writer = GGUFWriter(path, "llama")
    writer.add_type(kind)
    writer.add_license("mit")
    if context is not None:
        writer.add_context_length(context)
    if template is not None:
        writer.add_chat_template(template)
    if splits:
        writer.add_uint16("split.count", splits)
    for name, number in numbers.items():
        writer.add_uint32(name, number)
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


BERT_WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁", *(f"▁{c}" for c in "abcdefghijklmnopqrstuvwxyz[]"))
"""The vocabulary of `write_bert`: words of one letter, as GGUF spells words that begin one; then pieces."""
BERT_PIECES = tuple("abcdefghijklmnopqrstuvwxyz")


def write_bert(
    path: Path, *, context: int = 128, width: int = 64, pooling: int | None = 2, licence: str = "mit"
) -> Path:
    """A BERT of one layer with weights that mean nothing: a GGUF file that llama.cpp loads and computes."""
    words = [*BERT_WORDS, *BERT_PIECES]
    random = numpy.random.default_rng(7)
    writer = GGUFWriter(path, "bert")
    writer.add_type("model")
    writer.add_license(licence)
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(2 * width)
    writer.add_block_count(1)
    writer.add_head_count(2)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    if pooling is not None:
        writer.add_uint32("bert.pooling_type", pooling)
    writer.add_tokenizer_model("bert")
    writer.add_token_list(words)
    writer.add_token_types([3 if word.startswith("[") and len(word) > 1 else 1 for word in words])
    writer.add_token_type_count(2)
    for name, token in (("padding", 0), ("unknown", 1), ("cls", 2), ("seperator", 3), ("bos", 2), ("eos", 3)):
        writer.add_uint32(f"tokenizer.ggml.{name}_token_id", token)
    for name, shape in _bert_tensors(len(words), context, width):
        plain = numpy.full(shape, float(name.endswith("weight")))  # of a norm: to scale by 1, and add 0
        values = plain if "norm" in name else random.normal(0, 0.5, shape)
        writer.add_tensor(name, values.astype(numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _bert_tensors(words: int, context: int, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "token_embd.weight", (words, width)
    yield "position_embd.weight", (context, width)
    yield "token_types.weight", (2, width)
    matrices = {"attn_q": (width, width), "attn_k": (width, width), "attn_v": (width, width)}
    matrices |= {"attn_output": (width, width), "ffn_up": (2 * width, width), "ffn_down": (width, 2 * width)}
    for name, shape in matrices.items():
        yield f"blk.0.{name}.weight", shape
        yield f"blk.0.{name}.bias", shape[:1]
    for name in ("token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm"):
        yield f"{name}.weight", (width,)
        yield f"{name}.bias", (width,)
