"""Facts of a model's vocabulary, the same whether it is a GGUF file or a folder."""

from __future__ import annotations

from pathlib import Path

from benchmarks.folders import write_words_of

from antiphon.engines import vocabulary
from hugging_face import write_tiny
from tiny_models import TEMPLATE, write_gguf


def test_facts_of_the_bundled_model(smollm2: Path) -> None:
    facts = vocabulary.read(smollm2)
    assert facts.specials["<|im_start|>"] == 1 and facts.specials["<|im_end|>"] == 2
    assert len(facts.specials) == 17 and facts.size == 49152
    assert "<|im_start|>assistant" in facts.template
    assert (facts.bos, facts.eos, facts.adds_bos) == ("<|im_start|>", "<|im_end|>", False)
    assert facts.ends == {0, 2}


def test_a_folder_says_the_same(smollm2: Path, tmp_path: Path) -> None:
    assert vocabulary.read(write_words_of(smollm2, tmp_path)) == vocabulary.read(smollm2)


def test_facts_of_a_folder(tmp_path: Path) -> None:
    facts = vocabulary.read(write_tiny(tmp_path))
    assert facts.size == 288 and facts.specials["<|im_end|>"] == 2 and facts.template == TEMPLATE
    assert (facts.bos, facts.eos, facts.ends) == ("<|im_start|>", "<|im_end|>", {0, 2})


def test_a_file_without_a_vocabulary_has_none(tmp_path: Path) -> None:
    facts = vocabulary.read(write_gguf(tmp_path / "x.gguf", template=None))
    assert (facts.size, facts.specials, facts.template, facts.bos) == (0, {}, "", "")
