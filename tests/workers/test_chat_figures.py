"""The figures of a folder's model: what GGUF calls them, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from antiphon.workers.chat.figures import metadata, read
from antiphon.workers.chat.tokenizer import Unsupported
from hugging_face import FIGURES, write_json


def of(folder: Path, **changed: Any) -> dict[str, Any]:
    values = FIGURES | changed
    write_json(folder, "config.json", {name: value for name, value in values.items() if value is not None})
    return metadata(read(folder))


def test_figures_have_their_names(tmp_path: Path) -> None:
    figures = of(tmp_path)
    assert figures["llama.block_count"] == 2 and figures["llama.embedding_length"] == 64
    assert figures["llama.attention.head_count"] == 4 and figures["llama.attention.head_count_kv"] == 2
    assert figures["llama.attention.key_length"] == figures["llama.rope.dimension_count"] == 16
    assert figures["llama.rope.freq_base"] == 10_000.0 and figures["llama.context_length"] == 512


def test_figures_that_are_not_said_follow_from_others(tmp_path: Path) -> None:
    figures = of(tmp_path, num_key_value_heads=None, rope_theta=None)
    assert figures["llama.attention.head_count_kv"] == 4 and figures["llama.rope.freq_base"] == 10_000.0
    figures = of(tmp_path, head_dim=32, rope_parameters={"rope_type": "default", "rope_theta": 500_000})
    assert figures["llama.attention.key_length"] == 32 and figures["llama.rope.freq_base"] == 500_000.0


@pytest.mark.parametrize(
    ("changed", "architecture"),
    [
        ({"architectures": ["Qwen2ForCausalLM"], "sliding_window": 4096}, "qwen2"),
        ({"architectures": ["Qwen3ForCausalLM"], "layer_types": ["full_attention"] * 2}, "qwen3"),
        ({"rope_scaling": {"type": "default"}}, "llama"),
        ({"partial_rotary_factor": 1.0, "use_sliding_window": False}, "llama"),
    ],
)
def test_what_changes_nothing_is_taken(tmp_path: Path, changed: dict[str, Any], architecture: str) -> None:
    assert of(tmp_path, **changed)[f"{architecture}.block_count"] == 2


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"architectures": ["MistralForCausalLM"]}, "architecture is 'MistralForCausalLM'"),
        ({"architectures": ["x\n" * 200]}, "architecture is"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "positions are scaled"),
        ({"rope_scaling": {"type": "yarn"}}, "positions are scaled"),
        ({"rope_scaling": {"factor": 2.0}}, "positions are scaled"),
        ({"rope_parameters": {"full_attention": {"rope_type": "default"}}}, "positions are scaled"),
        ({"partial_rotary_factor": 0.5}, "positions are scaled"),
        ({"use_sliding_window": True}, "window"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "window"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantized"),
        ({"hidden_act": "gelu"}, "activation"),
        ({"num_key_value_heads": 3}, "heads"),
        ({"head_dim": 15}, "heads"),
        ({"num_attention_heads": 128, "num_key_value_heads": 128}, "heads"),
    ],
)
def test_what_would_be_computed_otherwise_is_refused(
    tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Unsupported, match=reason) as refusal:
        of(tmp_path, **changed)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    "changed",
    [
        {"architectures": []},
        {"architectures": None},
        {"hidden_size": "64"},
        {"hidden_size": 0},
        {"hidden_size": 2**40},
        {"num_hidden_layers": 100_000},
        {"rms_norm_eps": None},
        {"rope_theta": -1.0},
        {"rope_scaling": "linear"},
        {"max_position_embeddings": None},
    ],
)
def test_figures_that_cannot_be_are_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(Unsupported, match="does not describe a language model"):
        of(tmp_path, **changed)
