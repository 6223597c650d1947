"""How much memory a model's cache of keys and values takes for each token: what its file tells."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from antiphon.engines import gguf

_BYTES = 2
"""Of a number in the cache: engines that keep them shorter take less."""


def bytes_per_token(model: Path) -> int:
    """Of a GGUF file, or a folder of safetensors; 0 if that is not to be learnt from it. Reads the disk."""
    try:
        return _found(model)
    except (OSError, ValueError, TypeError, KeyError):
        return 0


@lru_cache(maxsize=256)
def _found(model: Path) -> int:
    # A snapshot never changes, and a vocabulary that has to be passed over may be long.
    return _of_folder(model) if model.is_dir() else _of_gguf(model)


def _of_gguf(model: Path) -> int:
    facts = gguf.metadata(model, lambda name: not name.startswith("tokenizer."))
    architecture = str(facts["general.architecture"])

    def fact(name: str, otherwise: Any = None) -> Any:
        found = facts.get(f"{architecture}.{name}", otherwise)
        if found is None:
            raise ValueError(f"it does not say its {name}")
        return found

    layers, heads = fact("block_count"), fact("attention.head_count")
    kept = fact("attention.head_count_kv", heads)
    # Not all layers need have as many.
    kept = sum(kept) if isinstance(kept, list) else layers * kept
    most = max(heads) if isinstance(heads, list) else heads
    width = fact("embedding_length") // max(1, most)
    keys, values = fact("attention.key_length", width), fact("attention.value_length", width)
    return int(max(0, kept * (keys + values) * _BYTES))


def _of_folder(model: Path) -> int:
    config: Mapping[str, Any] = msgspec.json.decode((model / "config.json").read_bytes(), type=dict[str, Any])
    config = config.get("text_config", config)
    heads = config["num_attention_heads"]
    kept = config.get("num_key_value_heads") or heads
    width = config.get("head_dim") or config["hidden_size"] // max(1, heads)
    return int(max(0, config["num_hidden_layers"] * kept * 2 * width * _BYTES))
