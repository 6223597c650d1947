"""What a Llama, a Qwen2 or a Qwen3 computes, in numpy and as described: to compare engines with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy

Array = Any


def logits(config: Mapping[str, Any], weights: Mapping[str, Array], tokens: list[int]) -> Array:
    """The logits behind each token of one text, (tokens, words)."""
    hidden = weights["model.embed_tokens.weight"][tokens]
    for layer in range(config["num_hidden_layers"]):
        own = {name.removeprefix(f"model.layers.{layer}."): value for name, value in weights.items()}
        hidden = hidden + _attended(config, own, _normed(config, hidden, own["input_layernorm.weight"]))
        inner = _normed(config, hidden, own["post_attention_layernorm.weight"])
        gate = inner @ own["mlp.gate_proj.weight"].T
        up = inner @ own["mlp.up_proj.weight"].T
        hidden = hidden + (gate / (1 + numpy.exp(-gate)) * up) @ own["mlp.down_proj.weight"].T
    head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
    return _normed(config, hidden, weights["model.norm.weight"]) @ head.T


def _normed(config: Mapping[str, Any], values: Array, weight: Array) -> Array:
    mean = (values**2).mean(-1, keepdims=True)
    return values / numpy.sqrt(mean + config["rms_norm_eps"]) * weight


def _attended(config: Mapping[str, Any], own: Mapping[str, Array], inner: Array) -> Array:
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]

    def projected(name: str, number: int) -> Array:
        values = inner @ own[f"self_attn.{name}_proj.weight"].T + own.get(f"self_attn.{name}_proj.bias", 0)
        values = values.reshape(len(inner), number, -1).swapaxes(0, 1)
        norm = own.get(f"self_attn.{name}_norm.weight")
        return values if norm is None else _normed(config, values, norm)

    query, key = (_turned(config, projected(*of)) for of in (("q", heads), ("k", groups)))
    key, value = (numpy.repeat(each, heads // groups, axis=0) for each in (key, projected("v", groups)))
    scores = query @ key.swapaxes(1, 2) / numpy.sqrt(query.shape[-1])
    scores = numpy.where(numpy.tri(len(inner), dtype=bool), scores, -numpy.inf)
    shares = numpy.exp(scores - scores.max(-1, keepdims=True))
    found = shares / shares.sum(-1, keepdims=True) @ value
    return found.swapaxes(0, 1).reshape(len(inner), -1) @ own["self_attn.o_proj.weight"].T


def _turned(config: Mapping[str, Any], values: Array) -> Array:
    """With its position: the first half of a head's numbers is turned against the second."""
    size = values.shape[-1]
    speeds = config["rope_theta"] ** (-numpy.arange(0, size, 2) / size)
    angles = numpy.arange(values.shape[1])[:, None] * speeds
    angles = numpy.concatenate([angles, angles], -1)
    first, second = numpy.split(values, 2, axis=-1)
    return values * numpy.cos(angles) + numpy.concatenate([-second, first], -1) * numpy.sin(angles)
