"""A GGUF file of a Llama as a folder of the Hugging Face hub: the same weights, words and template.

What reads nothing but such folders can serve the bundled model by it. No torch is needed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize, quantize
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as Bytes
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Digits
from tokenizers.pre_tokenizers import Sequence as Steps

_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def write_safetensors(path: Path, tensors: Mapping[str, Any], dtype: str = "F32") -> Path:
    """A file of these numbers, which are written as `dtype`."""
    kind = GGMLQuantizationType[dtype]
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    contents = {
        name: quantize(values.astype(numpy.float32), kind).tobytes() for name, values in tensors.items()
    }
    for name, content in contents.items():
        offsets = [end, end := end + len(content)]
        header[name] = {"dtype": dtype, "shape": list(tensors[name].shape), "data_offsets": offsets}
    written = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(written).to_bytes(8, "little") + written)
        for content in contents.values():
            file.write(content)
    return path


def write_json(folder: Path, name: str, values: Mapping[str, Any]) -> None:
    (folder / name).write_text(json.dumps(values), encoding="utf-8")


def write_folder_of(model: Path, folder: Path, dtype: str = "F32") -> Path:
    """A GGUF file of a Llama with the words of SmolLM2 as a folder: the same weights, `dtype` permitting."""
    source = GGUFReader(model)
    facts = _write_all_but_weights(source, folder, dtype)
    turned = {
        "attn_q": facts["llama.attention.head_count"],
        "attn_k": facts["llama.attention.head_count_kv"],
    }
    tensors = {}
    for tensor in source.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        *block, name, kind = tensor.name.split(".")
        if name in turned:
            halves = values.reshape(turned[name], len(values) // turned[name] // 2, 2, -1)
            values = halves.swapaxes(1, 2).reshape(values.shape)
        layer = f"model.layers.{block[1]}." if block else ""
        tensors[f"{layer}{_NAMES[name]}.{kind}"] = values
    write_safetensors(folder / "model.safetensors", tensors, dtype)
    return folder


def write_words_of(model: Path, folder: Path) -> Path:
    """The same without weights."""
    _write_all_but_weights(GGUFReader(model), folder)
    return folder


def _write_all_but_weights(source: GGUFReader, folder: Path, dtype: str = "F32") -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    facts = {name: field.contents() for name, field in source.fields.items()}
    _write_words(facts, folder)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": len(facts["tokenizer.ggml.tokens"]),
        "hidden_size": facts["llama.embedding_length"],
        "intermediate_size": facts["llama.feed_forward_length"],
        "num_hidden_layers": facts["llama.block_count"],
        "num_attention_heads": facts["llama.attention.head_count"],
        "num_key_value_heads": facts["llama.attention.head_count_kv"],
        "max_position_embeddings": facts["llama.context_length"],
        "rms_norm_eps": facts["llama.attention.layer_norm_rms_epsilon"],
        "rope_theta": facts["llama.rope.freq_base"],
        "hidden_act": "silu",
        "tie_word_embeddings": all(tensor.name != "output.weight" for tensor in source.tensors),
        "bos_token_id": facts["tokenizer.ggml.bos_token_id"],
        "eos_token_id": facts["tokenizer.ggml.eos_token_id"],
        "torch_dtype": {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[dtype],
    }
    write_json(folder, "config.json", config)
    write_json(folder, "generation_config.json", {"eos_token_id": config["eos_token_id"]})
    return facts


def _write_words(facts: Mapping[str, Any], folder: Path) -> None:
    tokens, kinds = facts["tokenizer.ggml.tokens"], facts["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ", 1)) for merge in facts["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(BPE({token: number for number, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = Steps([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = Bytes()
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokens[facts["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[facts["tokenizer.ggml.eos_token_id"]],
        "chat_template": facts["tokenizer.chat_template"],
    }
    write_json(folder, "tokenizer_config.json", told)
