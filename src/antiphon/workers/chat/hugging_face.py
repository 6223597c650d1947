"""A folder as the Hugging Face hub has them, written as a GGUF file: its figures, its words, its tensors.

Each architecture has its tensors and no others; all are there, in the shapes that the figures say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFWriter

from antiphon.workers.chat import figures, safetensors, tokenizer
from antiphon.workers.chat.figures import Config
from antiphon.workers.chat.requantize import FILE_TYPES
from antiphon.workers.chat.tokenizer import Unsupported
from antiphon.workers.chat.weights import Weights, write

_HEAD = "lm_head.weight"
_IGNORED = ".rotary_emb.inv_freq"
"""Numbers that old files hold although they follow from the figures."""
_SHOWN = 80
"""Characters of a name that are told."""


class _Wanted(NamedTuple):
    """A tensor that a model has to have. `heads`: how many its rows belong to, where GGUF orders them
    otherwise."""

    name: str
    shape: tuple[int, ...]
    heads: int = 0


def convert(model: Path, target: Path, folder: Path, tell: Callable[[int, int], None]) -> None:
    """Write the model in 8 bits as the GGUF file `target`, and its vocabulary into `folder`.

    `tell` is given tensors done and their number. Raises `Unsupported`, `OSError`.
    """
    config = figures.read(model)
    tensors = list(_tensors(config, safetensors.read(sorted(model.glob("*.safetensors")))))
    words = tokenizer.build_of_folder(model, folder)
    writer = GGUFWriter(target, config.architecture)
    writer.add_file_type(FILE_TYPES[Kind.Q8_0])
    for name, value in (figures.metadata(config) | words).items():
        _add(writer, name, value)
    write(writer, tensors, tell, Kind.Q8_0)


def _add(writer: GGUFWriter, name: str, value: Any) -> None:
    match value:
        case str():
            writer.add_string(name, value)
        case float():
            writer.add_float32(name, value)
        case int():
            writer.add_uint32(name, value)
        case _:
            writer.add_array(name, value)


def _tensors(config: Config, found: Mapping[str, Weights]) -> Iterator[Weights]:
    """What the model has to have, as GGUF has it. Raises `Unsupported` for what it lacks or has besides."""
    left = {name: tensor for name, tensor in found.items() if not name.endswith(_IGNORED)}
    wanted = _wanted(config)
    if config.tie_word_embeddings or (config.tie_word_embeddings is None and _HEAD not in left):
        del wanted[_HEAD]
        left.pop(_HEAD, None)
    for name, one in wanted.items():
        tensor = left.pop(name, None)
        if tensor is None:
            raise Unsupported(f"its tensor {name} is missing")
        if tensor.shape != one.shape:
            raise Unsupported(f"its tensor {name} has another shape than its figures say")
        yield tensor._replace(name=one.name, order=_order(one.shape[0], one.heads) if one.heads else None)
    for name in left:
        raise Unsupported(f"it has a tensor that is not known here: {name[:_SHOWN]!a}")


def _wanted(config: Config) -> dict[str, _Wanted]:
    """Every tensor that the model consists of, by its name in the folder."""
    hidden, inner, words = config.hidden_size, config.intermediate_size, config.vocab_size
    of_layer = _attention(config) | {
        "mlp.gate_proj.weight": _Wanted("ffn_gate.weight", (inner, hidden)),
        "mlp.up_proj.weight": _Wanted("ffn_up.weight", (inner, hidden)),
        "mlp.down_proj.weight": _Wanted("ffn_down.weight", (hidden, inner)),
        "input_layernorm.weight": _Wanted("attn_norm.weight", (hidden,)),
        "post_attention_layernorm.weight": _Wanted("ffn_norm.weight", (hidden,)),
    }
    wanted = {
        "model.embed_tokens.weight": _Wanted("token_embd.weight", (words, hidden)),
        "model.norm.weight": _Wanted("output_norm.weight", (hidden,)),
        _HEAD: _Wanted("output.weight", (words, hidden)),
    }
    for layer in range(config.num_hidden_layers):
        for name, one in of_layer.items():
            wanted[f"model.layers.{layer}.{name}"] = one._replace(name=f"blk.{layer}.{one.name}")
    return wanted


def _attention(config: Config) -> dict[str, _Wanted]:
    """The tensors of one layer's attention."""
    hidden, heads, groups = config.hidden_size, config.num_attention_heads, config.key_value_heads
    query, key = heads * config.head, groups * config.head
    # For Llama's, GGUF has the two halves of a head interleaved.
    turned = (heads, groups) if config.architecture == "llama" else (0, 0)
    wanted = {
        "self_attn.q_proj.weight": _Wanted("attn_q.weight", (query, hidden), turned[0]),
        "self_attn.k_proj.weight": _Wanted("attn_k.weight", (key, hidden), turned[1]),
        "self_attn.v_proj.weight": _Wanted("attn_v.weight", (key, hidden)),
        "self_attn.o_proj.weight": _Wanted("attn_output.weight", (hidden, query)),
    }
    if config.architecture == "qwen2":
        for name, size in (("q", query), ("k", key), ("v", key)):
            wanted[f"self_attn.{name}_proj.bias"] = _Wanted(f"attn_{name}.bias", (size,))
    if config.architecture == "qwen3":
        for name in ("q", "k"):
            wanted[f"self_attn.{name}_norm.weight"] = _Wanted(f"attn_{name}_norm.weight", (config.head,))
    return wanted


def _order(rows: int, heads: int) -> Any:
    """Which row of the folder's tensor is written at each place: of each head, from its halves by turns."""
    return np.arange(rows).reshape(heads, 2, rows // heads // 2).swapaxes(1, 2).ravel()
