"""Facts of a GGUF file's vocabulary."""

from __future__ import annotations

from pathlib import Path

from antiphon.engines import vocabulary
from tiny_models import write_gguf


def test_facts_of_the_bundled_model(smollm2: Path) -> None:
    facts = vocabulary.read(smollm2)
    assert facts.specials["<|im_start|>"] == 1 and facts.specials["<|im_end|>"] == 2
    assert len(facts.specials) == 17 and facts.size == 49152
    assert "<|im_start|>assistant" in facts.template
    assert (facts.bos, facts.eos, facts.adds_bos) == ("<|im_start|>", "<|im_end|>", False)


def test_a_file_without_a_vocabulary_has_none(tmp_path: Path) -> None:
    facts = vocabulary.read(write_gguf(tmp_path / "x.gguf", template=None))
    assert (facts.size, facts.specials, facts.template, facts.bos) == (0, {}, "", "")
