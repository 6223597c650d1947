"""The memory of a cache, as model files tell: beside hand-made sums, and files that tell nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFWriter

from antiphon.engines.cache import bytes_per_token


def test_the_bundled_model(smollm2: Path) -> None:
    # 30 layers, 3 heads of 64 numbers for keys and as many for values, 2 bytes each.
    assert bytes_per_token(smollm2) == 30 * 3 * (64 + 64) * 2


def written(path: Path, **facts: Any) -> Path:
    writer = GGUFWriter(path, "other")
    for name, value in facts.items():
        if isinstance(value, list):
            writer.add_array(f"other.{name}", value)
        else:
            writer.add_uint32(f"other.{name}", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("facts", "numbers"),
    [
        ({"attention.head_count": 4, "block_count": 3, "embedding_length": 32}, 3 * 4 * 16),
        (
            {
                "attention.head_count": 4,
                "attention.head_count_kv": [1, 0, 2],
                "block_count": 3,
                "embedding_length": 32,
            },
            3 * 16,
        ),
        (
            {
                "attention.head_count": 4,
                "attention.head_count_kv": 2,
                "attention.key_length": 5,
                "attention.value_length": 6,
                "block_count": 3,
                "embedding_length": 32,
            },
            3 * 2 * 11,
        ),
        ({"block_count": 3}, 0),
        ({"attention.head_count": 4, "block_count": 3}, 0),
    ],
)
def test_layers_may_differ(tmp_path: Path, facts: dict[str, Any], numbers: int) -> None:
    assert bytes_per_token(written(tmp_path / "model.gguf", **facts)) == 2 * numbers


CONFIG = {"num_hidden_layers": 2, "num_attention_heads": 8, "hidden_size": 64}


@pytest.mark.parametrize(
    ("config", "numbers"),
    [
        (CONFIG, 2 * 8 * 2 * 8),
        (CONFIG | {"num_key_value_heads": 1, "head_dim": 5}, 2 * 1 * 2 * 5),
        ({"text_config": CONFIG}, 2 * 8 * 2 * 8),
        ({}, 0),
        ({"text_config": 1}, 0),
        (CONFIG | {"hidden_size": "x"}, 0),
    ],
)
def test_a_folder(tmp_path: Path, config: dict[str, Any], numbers: int) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert bytes_per_token(tmp_path) == 2 * numbers


def test_what_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    assert bytes_per_token(tmp_path / "none") == 0
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    assert bytes_per_token(tmp_path / "model.gguf") == 0 == bytes_per_token(tmp_path)
