"""Word errors, counted as the Whisper paper does: both sides normalised, then aligned word by word."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import jiwer

with warnings.catch_warnings():  # its first import compiles a docstring with an invalid escape
    warnings.simplefilter("ignore")
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer


@cache
def _normalizer(english: bool) -> EnglishTextNormalizer | BasicTextNormalizer:
    return EnglishTextNormalizer() if english else BasicTextNormalizer()


def normalise(text: str, language: str) -> str:
    """Lower case, no punctuation; for English also one spelling of numbers and contractions."""
    return " ".join(_normalizer(language == "en")(text).split())


def error_rate(references: Sequence[str], hypotheses: Sequence[str], language: str) -> float:
    """Wrong, missing and added words over the words of all references together."""
    spoken = [normalise(text, language) for text in references]
    written = [normalise(text, language) for text in hypotheses]
    return float(jiwer.process_words(spoken, written).wer)


@dataclass(frozen=True)
class Difference:
    """A stretch of words on which two transcripts of one recording disagree; either may be empty."""

    ours: str
    theirs: str


def differences(ours: str, theirs: str, language: str) -> list[Difference]:
    """Where two transcripts disagree, after normalisation, in the order of the recording."""
    found = jiwer.process_words(normalise(theirs, language), normalise(ours, language))
    [their_words], [our_words] = found.references, found.hypotheses
    return [
        Difference(
            ours=" ".join(our_words[chunk.hyp_start_idx : chunk.hyp_end_idx]),
            theirs=" ".join(their_words[chunk.ref_start_idx : chunk.ref_end_idx]),
        )
        for chunk in found.alignments[0]
        if chunk.type != "equal"
    ]
