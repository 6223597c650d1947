"""Facts of a GGUF file, and that they are kept beside it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from antiphon.engines import vocabulary


def test_facts_of_the_bundled_model(smollm2: Path) -> None:
    facts = vocabulary.read(smollm2)
    assert facts.specials["<|im_start|>"] == 1 and facts.specials["<|im_end|>"] == 2
    assert len(facts.specials) == 17 and facts.size == 49152
    assert "<|im_start|>assistant" in facts.template
    assert (facts.bos, facts.eos, facts.adds_bos) == ("<|im_start|>", "<|im_end|>", False)


def test_they_are_kept_until_the_model_changes(smollm2: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    shutil.copy(smollm2, model)
    kept = tmp_path / "model.gguf.vocabulary"
    facts = vocabulary.read(model)
    assert kept.exists()
    model.write_bytes(b"not read again")
    os.utime(model, ns=(0, 0))
    assert vocabulary.read(model) == facts
    kept.write_bytes(b"damaged")
    shutil.copy(smollm2, model)
    os.utime(model, ns=(0, 0))
    assert vocabulary.read(model) == facts
    assert kept.read_bytes() != b"damaged"


def test_a_folder_that_cannot_be_written_is_no_obstacle(
    smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model.gguf"
    model.symlink_to(smollm2)

    def refused(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(Path, "write_bytes", refused)
    assert vocabulary.read(model).eos == "<|im_end|>"
