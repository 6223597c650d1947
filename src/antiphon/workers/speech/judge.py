"""Whether what the model wrote can be trusted, and what to try if not: the checks of the Whisper paper."""

from __future__ import annotations

import zlib
from typing import Literal

import msgspec

from antiphon.workers.speech.values import Job, Rung

Verdict = Literal["good", "silent", "wrong"]

LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Temperatures tried in turn."""
MOST_COMPRESSION = 2.4
"""Text that packs better than this repeats itself."""
LEAST_LOGPROB = -1.0
"""Mean log probability of a token below which a text is a guess."""
MOST_NO_SPEECH = 0.6
MOST_REPEATS = 4
"""A phrase that follows itself so often is a loop, even where the text is too short to pack well."""
PHRASE = 5
"""Tokens that hardly anybody says twice within one window, but a loop does."""
LONGEST_PHRASE = 8
"""Tokens of a phrase that is looked for."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What one try at a window gave."""

    rung: Rung
    tokens: list[int]
    """As generated: text and timestamps, without the prompt and the end."""
    text: str
    avg_logprob: float
    no_speech_prob: float
    ended: bool
    """Whether the model came to an end by itself."""
    language: str
    said: list[int]
    """The tokens of its text alone."""
    timed: bool
    """Whether its last words have an end, as the model writes it where it heard one."""

    @property
    def compression_ratio(self) -> float:
        raw = self.text.encode()
        return len(raw) / len(zlib.compress(raw)) if raw else 0.0


def verdict(attempt: Attempt) -> Verdict:
    """Silence has no words, or both signs: a model that is sure of its words has heard some."""
    if not any(character.isalnum() for character in attempt.text):
        return "silent"
    unsure = attempt.avg_logprob < LEAST_LOGPROB
    if unsure and attempt.no_speech_prob > MOST_NO_SPEECH:
        return "silent"
    looped = attempt.compression_ratio > MOST_COMPRESSION or repeats(attempt.tokens)
    # A context that is cut short tempts the model to go on behind the last word, often with all of it again.
    runs_on = not attempt.rung.full and (not attempt.timed or echoes(attempt.said))
    return "wrong" if unsure or looped or runs_on or not attempt.ended else "good"


def repeats(tokens: list[int]) -> bool:
    """Whether a phrase of up to `LONGEST_PHRASE` tokens follows itself more than `MOST_REPEATS` times."""
    for length in range(1, LONGEST_PHRASE + 1):
        run = 0
        for position in range(length, len(tokens)):
            run = run + 1 if tokens[position] == tokens[position - length] else 0
            if run >= length * MOST_REPEATS:
                return True
    return False


def echoes(said: list[int]) -> bool:
    """Whether `PHRASE` tokens come again later, with whatever between them."""
    seen: dict[tuple[int, ...], int] = {}
    for position in range(len(said) - PHRASE + 1):
        first = seen.setdefault(tuple(said[position : position + PHRASE]), position)
        if position - first >= PHRASE:
            return True
    return False


def next_rung(rung: Rung, job: Job) -> Rung | None:
    """What to try after `rung` looked wrong: first the whole context, then higher temperatures."""
    if not rung.full:
        return Rung(rung.temperature, full=True, own=True)
    if job.temperature > 0:
        return None
    higher = (temperature for temperature in LADDER if temperature > rung.temperature)
    temperature = next(higher, None)
    return None if temperature is None else Rung(temperature, full=True, own=True)


def best(attempts: list[Attempt]) -> Attempt:
    """Of attempts that all look wrong, the likeliest among those that do not repeat themselves."""
    sound = [one for one in attempts if one.compression_ratio <= MOST_COMPRESSION and not repeats(one.tokens)]
    return max(sound or attempts, key=lambda one: one.avg_logprob)
