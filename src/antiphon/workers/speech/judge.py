"""Whether what the model wrote can be trusted, and what to try if not: the checks of the Whisper paper."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from antiphon.workers.speech.values import Job, Rung

Verdict = Literal["good", "silent", "wrong"]

LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Temperatures tried in turn."""
MOST_PROMPTED = 0.5
"""Above this temperature of the ladder the client's prompt is left out: it may be what leads astray."""
MOST_COMPRESSION = 2.4
"""Text that packs better than this repeats itself."""
LEAST_LOGPROB = -1.0
"""Mean log probability of a token below which a text is a guess."""
MOST_NO_SPEECH = 0.6
MOST_REPEATS = 4
"""A phrase that is said more often in a row is a loop, even where the text is too short to pack well ..."""
MOST_SHORT_REPEATS = 9
"""... but people do say "no, no, no", and numbers have zeros in a row."""
SHORT_PHRASE = 2
"""Tokens of such a word or digit, with its comma."""
LONGEST_PHRASE = 8
"""Tokens of a phrase that is looked for."""
PHRASE, PHRASE_TEXT = 5, 8
"""Tokens, and characters, that hardly anybody says twice within one window, but a loop does."""
MOST_UNHEARD = 2.0
"""Seconds of a window's sound behind its last word: a window ends a second behind speech, or sooner."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What one try at a window gave. Times are seconds from the window's start."""

    rung: Rung
    tokens: list[int]
    """As generated: text and timestamps, without the prompt and the end."""
    text: str
    avg_logprob: float
    no_speech_prob: float
    ended: bool
    """Whether the model came to an end by itself, within what is allowed for this window."""
    language: str
    certainty: float
    """How sure the model is of the language, 0..1; 1 where it was told."""
    echoes: bool
    """Whether a phrase comes again, see `echoes`."""
    parrots: bool
    """Whether its words are all in the prompt that the model was shown: out of silence come these."""
    sound: float
    """Where the window's sound ends."""
    since: float
    """Where its last words begin ..."""
    until: float | None
    """... and where they end, as the model writes it where it heard an end."""

    @property
    def compression_ratio(self) -> float:
        raw = self.text.encode()
        return len(raw) / len(zlib.compress(raw)) if raw else 0.0


def verdict(attempt: Attempt) -> Verdict:
    """What is to become of an attempt.

    A short context is never believed that there is nothing, or nothing more, to hear: the voice detector
    heard somebody. The whole one is.
    """
    full = attempt.rung.full
    if silent(attempt):
        return "silent" if full else "wrong"
    wrong = unsure(attempt) or flawed(attempt) or (not full and stops_early(attempt))
    return "wrong" if wrong else "good"


def best(attempts: list[Attempt]) -> Attempt:
    """Of attempts that all look wrong, the likeliest among those that say something and have no flaw."""
    return max(attempts, key=lambda one: (not silent(one), not flawed(one), one.avg_logprob))


def silent(attempt: Attempt) -> bool:
    """Silence has no words, or two signs of it: a model that is sure of words of its own has heard some."""
    if not any(character.isalnum() for character in attempt.text):
        return True
    return attempt.no_speech_prob > MOST_NO_SPEECH and (unsure(attempt) or attempt.parrots)


def unsure(attempt: Attempt) -> bool:
    return attempt.avg_logprob < LEAST_LOGPROB


def flawed(attempt: Attempt) -> bool:
    """Whether there is more text than was said, however likely."""
    return loops(attempt) or runs_on(attempt) or not attempt.ended


def loops(attempt: Attempt) -> bool:
    return attempt.compression_ratio > MOST_COMPRESSION or repeats(attempt.tokens)


def runs_on(attempt: Attempt) -> bool:
    """A short context tempts the model to go on behind the last word, often with all of it again."""
    invents = attempt.until is None or attempt.since >= attempt.sound
    return not attempt.rung.full and (invents or attempt.echoes)


def stops_early(attempt: Attempt) -> bool:
    return attempt.until is not None and attempt.until < attempt.sound - MOST_UNHEARD


def repeats(tokens: list[int]) -> bool:
    """Whether a phrase of up to `LONGEST_PHRASE` tokens stands there more than `MOST_REPEATS` times in a row.

    One of up to `SHORT_PHRASE` tokens may stand there `MOST_SHORT_REPEATS` times.
    """
    for length in range(1, LONGEST_PHRASE + 1):
        most = MOST_SHORT_REPEATS if length <= SHORT_PHRASE else MOST_REPEATS
        run = 0
        for position in range(length, len(tokens)):
            run = run + 1 if tokens[position] == tokens[position - length] else 0
            # The first time is followed by as many as are allowed in all.
            if run >= length * most:
                return True
    return False


def echoes(said: list[int], text: Callable[[list[int]], str]) -> bool:
    """Whether `PHRASE` tokens or more come again later, with whatever between them, and are a phrase.

    `text` tells what tokens say. In many scripts five of them are two characters, which come again in any
    sentence: what comes again is `PHRASE_TEXT` characters long at least.
    """
    length = PHRASE
    while again := list(_again(said, length)):
        # Half a character at an edge is none.
        if any(len(text(run).strip(" \ufffd")) >= PHRASE_TEXT for run in again):
            return True
        length += 1
    return False


def _again(said: list[int], length: int) -> Iterator[list[int]]:
    """The runs of `length` tokens that come again, each time that they do, without sharing any."""
    seen: dict[tuple[int, ...], int] = {}
    for position in range(len(said) - length + 1):
        run = said[position : position + length]
        if position - seen.setdefault(tuple(run), position) >= length:
            yield run


def prompted(rung: Rung, job: Job) -> bool:
    """Whether a rung shows the client's prompt: always at the temperature that the client asks for."""
    return rung.temperature <= max(MOST_PROMPTED, job.temperature)


def next_rung(rung: Rung, job: Job) -> Rung | None:
    """What to try after `rung` looked wrong: first the whole context, then higher temperatures."""
    if not rung.full:
        return Rung(rung.temperature, full=True)
    if job.temperature > 0:
        return None
    higher = (temperature for temperature in LADDER if temperature > rung.temperature)
    temperature = next(higher, None)
    return None if temperature is None else Rung(temperature, full=True)
