"""When each word was said: from the model's attention, as an alignment of tokens and frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from faster_whisper.transcribe import merge_punctuations

from antiphon.values import Word
from antiphon.workers.speech.tokens import TICK, Language, Piece

_BEFORE = "\"'“¿([{-"
_AFTER = "\"'.。,，!！?？:：”)]}、"
"""Punctuation that belongs to the word after it, and to the word before it."""
_LONGEST_MEDIAN = 0.7
_SENTENCE_ENDS = frozenset(".。!！?？")


def words(alignment: Any, pieces: Sequence[Piece], language: Language, code: str) -> list[list[Word]]:
    """The words of each piece, in seconds from the window's start.

    `alignment` is CTranslate2's result for the text tokens of all pieces together.
    """
    tokens = [[token for token in piece.tokens if token < language.eot] for piece in pieces]
    timed = _timed(alignment, [token for piece in tokens for token in piece], language, code)
    if not timed:
        return [[] for _ in pieces]
    longest = _tame(timed)
    merge_punctuations(timed, _BEFORE, _AFTER)
    # Attention to the first word begins with the window, up to a second before anybody speaks.
    first = next((one for one in timed if one["word"]), timed[0])
    first["start"] = max(first["start"], first["end"] - longest)
    grouped = _grouped(timed, [len(piece) for piece in tokens])
    return [
        _fitted(group, piece, longest / 2) if group else []
        for group, piece in zip(grouped, pieces, strict=True)
    ]


def _timed(alignment: Any, tokens: list[int], language: Language, code: str) -> list[dict[str, Any]]:
    texts, grouped = language.words(tokens, code)
    if not texts or not alignment.alignments:
        return []
    positions = np.array(alignment.alignments)
    steps = np.diff(positions[:, 0], prepend=-1).astype(bool)
    moments = positions[steps, 1] * TICK
    bounds = np.minimum(np.cumsum([0, *map(len, grouped)]), len(moments) - 1)
    return [
        {"word": text, "tokens": held, "start": float(moments[first]), "end": float(moments[last])}
        for text, held, first, last in zip(texts, grouped, bounds[:-1], bounds[1:], strict=True)
    ]


def _tame(timed: list[dict[str, Any]]) -> float:
    """Shorten words beside the ends of sentences, which reach into the pause; the longest span allowed."""
    spans = [one["end"] - one["start"] for one in timed if one["end"] > one["start"]]
    longest = 2 * min(_LONGEST_MEDIAN, float(np.median(spans))) if spans else 0.0
    for before, one in zip(timed, timed[1:], strict=False):
        if one["end"] - one["start"] > longest:
            if one["word"].strip() in _SENTENCE_ENDS:
                one["end"] = one["start"] + longest
            elif before["word"].strip() in _SENTENCE_ENDS:
                one["start"] = one["end"] - longest
    return longest


def _grouped(timed: list[dict[str, Any]], counts: Sequence[int]) -> list[list[dict[str, Any]]]:
    """Words piece by piece; one that spans two pieces belongs to the first."""
    groups: list[list[dict[str, Any]]] = []
    rest = iter(timed)
    owed = 0
    for count in counts:
        owed += count
        group = list[dict[str, Any]]()
        while owed > 0 and (one := next(rest, None)) is not None:
            owed -= len(one["tokens"])
            if one["word"]:
                group.append(one)
        groups.append(group)
    return groups


def _fitted(group: list[dict[str, Any]], piece: Piece, median: float) -> list[Word]:
    """The words of one piece, whose times are trusted where a word at its edge reaches far beyond."""
    first, last = group[0], group[-1]
    if first["start"] < piece.start - 0.5 and first["end"] > piece.start:
        first["start"] = max(first["start"], min(first["end"] - median, piece.start))
    if last["end"] > piece.end + 0.5 and last["start"] < piece.end:
        last["end"] = min(last["end"], max(last["start"] + median, piece.end))
    return [Word(one["word"], one["start"], max(one["start"], one["end"])) for one in group]
