"""What `config.json` of a folder says of a model's figures, and what GGUF calls them.

Only what is known to be computed right is taken: what OpenVINO GenAI would pass over without a word, and then
compute otherwise, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from antiphon.tokens.folder import CONFIG, document
from antiphon.workers.chat.tokenizer import Unsupported

ARCHITECTURES = {"LlamaForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3"}
"""Those that OpenVINO GenAI builds from a GGUF file, which has the second name."""
_PLAIN, _WHOLE = "default", "full_attention"
"""Positions that are not scaled, and attention without a window."""
_SHOWN = 80
"""Characters of a name that are told."""

Number = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a model, by their names in the file."""

    architectures: Annotated[tuple[str, ...], Meta(min_length=1)]
    vocab_size: Number
    hidden_size: Number
    intermediate_size: Number
    num_hidden_layers: Annotated[int, Meta(ge=1, le=1000)]
    num_attention_heads: Number
    num_key_value_heads: Number | None = None
    head_dim: Number | None = None
    max_position_embeddings: Number
    rms_norm_eps: Annotated[float, Meta(gt=0, lt=1)]
    rope_theta: Annotated[float, Meta(gt=0)] | None = None
    rope_scaling: dict[str, Any] | None = None
    rope_parameters: dict[str, Any] | None = None
    partial_rotary_factor: float | None = None
    hidden_act: str = "silu"
    tie_word_embeddings: bool | None = None
    use_sliding_window: bool | None = None
    layer_types: list[str] | None = None
    quantization_config: Any = None

    @property
    def architecture(self) -> str:
        """As GGUF calls it; empty for one that is not known."""
        return ARCHITECTURES.get(self.architectures[0], "")

    @property
    def key_value_heads(self) -> int:
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def head(self) -> int:
        """Numbers of one head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def theta(self) -> float:
        told = (self.rope_parameters or {}).get("rope_theta")
        return float(told if isinstance(told, int | float) else self.rope_theta or 10_000.0)


def read(folder: Path) -> Config:
    """The figures of a folder's model. Raises `Unsupported`, `OSError`."""
    try:
        config = msgspec.convert(document(folder / CONFIG), Config)
    except ValueError:
        raise Unsupported(f"{CONFIG} does not describe a language model") from None
    scaled = _is_scaled(config.rope_scaling) or _is_scaled(config.rope_parameters)
    windows = [kind for kind in config.layer_types or () if kind != _WHOLE]
    reasons = {
        f"its architecture is {config.architectures[0][:_SHOWN]!a}": not config.architecture,
        "its weights are quantized": config.quantization_config is not None,
        "its positions are scaled": scaled or config.partial_rotary_factor not in (None, 1),
        "its attention has a window": bool(config.use_sliding_window or windows),
        "its activation is not known here": config.hidden_act != "silu",
        "its heads do not fit together": bool(
            config.num_attention_heads % config.key_value_heads or config.head % 2 or not config.head
        ),
    }
    for reason, applies in reasons.items():
        if applies:
            raise Unsupported(reason)
    return config


def metadata(config: Config) -> dict[str, Any]:
    """The figures as GGUF has them."""
    figures = {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.key_value_heads,
        "attention.key_length": config.head,
        "attention.value_length": config.head,
        "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "rope.freq_base": config.theta,
        "rope.dimension_count": config.head,
        "vocab_size": config.vocab_size,
    }
    return {f"{config.architecture}.{name}": figure for name, figure in figures.items()}


def _is_scaled(told: Mapping[str, Any] | None) -> bool:
    return bool(told and told.get("rope_type", told.get("type")) != _PLAIN)
