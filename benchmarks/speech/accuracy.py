"""Word errors of clips, and how sure one may be of a difference between two sides."""

from __future__ import annotations

from collections.abc import Sequence

import jiwer
import msgspec
import numpy as np

from benchmarks.recordings import Recording
from benchmarks.speech.values import Difference, ErrorRates
from benchmarks.words import differences, normalise

RESAMPLES = 10_000
OTHERS = "others"
ANY = "mul"
"""A language whose normaliser suits all: lower case, no punctuation."""


class Count(msgspec.Struct, frozen=True):
    """Wrong words of one transcript."""

    substituted: int
    missing: int
    added: int
    words: int
    """Of the reference."""

    @property
    def errors(self) -> int:
        return self.substituted + self.missing + self.added

    @property
    def rate(self) -> float:
        """In percent."""
        return 100 * self.errors / self.words


def count(reference: str, hypothesis: str, language: str) -> Count:
    found = jiwer.process_words(normalise(reference, language), normalise(hypothesis, language))
    words = found.hits + found.substitutions + found.deletions
    return Count(found.substitutions, found.deletions, found.insertions, words)


def interval(
    ours: Sequence[int], theirs: Sequence[int], words: Sequence[int], seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of the difference of two error rates, in points, by a bootstrap over the clips.

    The three have one number for each clip: the errors of both sides and the words of the reference. Clips
    are drawn with replacement, both sides keeping their answers to each: what is hard for both cancels out.
    """
    excess = np.asarray(ours, float) - np.asarray(theirs, float)
    lengths = np.asarray(words, float)
    drawn = np.random.default_rng(seed).integers(len(lengths), size=(RESAMPLES, len(lengths)))
    found = 100 * excess[drawn].sum(axis=1) / lengths[drawn].sum(axis=1)
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def rates(
    clips: Sequence[Recording], ours: Sequence[str], theirs: Sequence[str], clients: int
) -> list[ErrorRates]:
    """By language, English first, and all languages but English together. `ours[i]` is of `clips[i]`."""
    languages = sorted({clip.language for clip in clips}, key=lambda language: (language != "en", language))
    groups = {language: {language} for language in languages}
    if foreign := set(languages) - {"en"}:
        groups[OTHERS] = foreign
    found = []
    for group, members in groups.items():
        chosen = [index for index, clip in enumerate(clips) if clip.language in members]
        mine, others = ([texts[index] for index in chosen] for texts in (ours, theirs))
        found.append(_rates(group, clients, [clips[index] for index in chosen], mine, others))
    return found


def _rates(
    group: str, clients: int, clips: list[Recording], ours: list[str], theirs: list[str]
) -> ErrorRates:
    mine, others = (
        [count(clip.reference, text, clip.language) for clip, text in zip(clips, texts, strict=True)]
        for texts in (ours, theirs)
    )
    words = [one.words for one in mine]
    wrong = [one.errors for one in mine], [one.errors for one in others]
    low, high = interval(*wrong, words)
    return ErrorRates(
        group=group,
        clients=clients,
        clips=len(clips),
        ours=100 * sum(wrong[0]) / sum(words),
        theirs=100 * sum(wrong[1]) / sum(words),
        low=low,
        high=high,
    )


def differing(clips: Sequence[Recording], ours: Sequence[str], theirs: Sequence[str]) -> list[Difference]:
    """The words on which two sides disagree, in the order of the clips."""
    return [
        Difference(clip.path.name, one.ours, one.theirs)
        for clip, mine, other in zip(clips, ours, theirs, strict=True)
        for one in differences(mine, other, clip.language)
    ]
