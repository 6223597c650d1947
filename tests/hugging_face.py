"""Tiny chat models of any figures, as folders of the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
from benchmarks.folders import write_json, write_safetensors
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as Bytes
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from antiphon.tokens.encoder import letters
from tiny_models import TEMPLATE

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
FIGURES: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 288,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "eos_token_id": 2,
}
Tensors = dict[str, Any]


def tiny_tokenizer() -> Tokenizer:
    """A token for each byte, two longer ones, and three special ones, which come first."""
    words = {text: number for number, text in enumerate([*SPECIALS, *letters(), "he", "ll", "<tool>"])}
    tokenizer = Tokenizer(BPE(words, [("h", "e"), ("l", "l")]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = Bytes()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in SPECIALS])
    tokenizer.add_tokens([AddedToken("<tool>", special=False, normalized=False)])
    return tokenizer


def tiny_tensors(config: Mapping[str, Any], seed: int = 0) -> Tensors:
    """Random weights for these figures, by the hub's names."""
    chance = numpy.random.default_rng(seed)
    hidden, inner, words = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    query, key = head * config["num_attention_heads"], head * config["num_key_value_heads"]
    [architecture] = config["architectures"]
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens": (words, hidden), "model.norm": (hidden,)}
    if not config["tie_word_embeddings"]:
        shapes["lm_head"] = (words, hidden)
    for layer in range(config["num_hidden_layers"]):
        of_layer: dict[str, tuple[int, ...]] = {
            "self_attn.q_proj": (query, hidden),
            "self_attn.k_proj": (key, hidden),
            "self_attn.v_proj": (key, hidden),
            "self_attn.o_proj": (hidden, query),
            "mlp.gate_proj": (inner, hidden),
            "mlp.up_proj": (inner, hidden),
            "mlp.down_proj": (hidden, inner),
            "input_layernorm": (hidden,),
            "post_attention_layernorm": (hidden,),
        }
        if architecture == "Qwen3ForCausalLM":
            of_layer |= {"self_attn.q_norm": (head,), "self_attn.k_norm": (head,)}
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in of_layer.items()}
    tensors = {f"{name}.weight": chance.normal(scale=0.2, size=shape) for name, shape in shapes.items()}
    if architecture == "Qwen2ForCausalLM":
        for layer in range(config["num_hidden_layers"]):
            for name, size in (("q", query), ("k", key), ("v", key)):
                tensors[f"model.layers.{layer}.self_attn.{name}_proj.bias"] = chance.normal(size=size)
    return tensors


def write_tiny(folder: Path, *, dtype: str = "F32", template: str = TEMPLATE, **figures: Any) -> Path:
    """A whole folder of a model with random weights; `figures` of `config.json` other than the usual ones."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {**FIGURES, **figures}
    write_json(folder, "config.json", config)
    write_json(folder, "generation_config.json", {"eos_token_id": [2, 0]})
    told = {"bos_token": "<|im_start|>", "eos_token": {"content": "<|im_end|>"}, "chat_template": template}
    write_json(folder, "tokenizer_config.json", told)
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    write_safetensors(folder / "model.safetensors", tiny_tensors(config), dtype)
    return folder
