"""What code can tell of a recording from its words and their times: pace, hesitation, and what differs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any

from openai.types.audio import TranscriptionWord

FILLERS = frozenset("ah eh er erm hm hmm mm mmm uh uhm um umm".split())
PAUSE_SECONDS = 0.7
WORD_SECONDS = (0.25, 0.09)
"""How long a word is taken to last, slowly said: so much, and so much for each letter. Where a speaker stops,
the word beside the pause is often given its time."""
SLOW, FAST = 100, 170


def plain(text: str) -> list[str]:
    """The words of a text as they are compared: in lower case, without punctuation."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower().replace("’", "'"))


def meant(words: Sequence[str]) -> list[str]:
    """The words without sounds of hesitation."""
    return [word for word in words if word not in FILLERS]


def pace(words: Sequence[TranscriptionWord]) -> int | None:
    """Words a minute, fillers left out and pauses in; `None` for fewer than two words, which have none."""
    count = len(meant([part for word in words for part in plain(word.word)]))
    return round(60 * count / max(0.1, words[-1].end - words[0].start)) if count > 1 else None


def pauses(words: Sequence[TranscriptionWord]) -> list[dict[str, Any]]:
    """Where the speaker stopped for `PAUSE_SECONDS` or longer: after which word, and for how long."""
    found = []
    for before, word in pairwise(words):
        lasting = WORD_SECONDS[0] + WORD_SECONDS[1] * len("".join(plain(word.word)))
        silent = word.start - before.end + max(0.0, word.end - word.start - lasting)
        if silent >= PAUSE_SECONDS:
            found.append({"after": plain(before.word)[-1], "seconds": round(silent, 1)})
    return found


def compared(wanted: Sequence[str], said: Sequence[str]) -> list[dict[str, str]]:
    """Piece by piece, what was wanted and what was said in its place, the same or not."""
    matched = SequenceMatcher(None, wanted, said, autojunk=False).get_opcodes()
    return [{"wanted": " ".join(wanted[i:j]), "said": " ".join(said[k:m])} for _, i, j, k, m in matched]


def feedback(target: str, words: Sequence[TranscriptionWord]) -> dict[str, Any]:
    """All of it, as the page shows it; without a target nothing is compared."""
    words = [word for word in words if plain(word.word)]
    said = [part for word in words for part in plain(word.word)]
    wanted = meant(plain(target))
    speed = pace(words)
    return {
        "pace": speed,
        "verdict": ""
        if speed is None
        else "slow"
        if speed < SLOW
        else "fast"
        if speed > FAST
        else "comfortable",
        "pauses": pauses(words),
        "fillers": [word for word in said if word in FILLERS],
        "compared": compared(wanted, meant(said)) if wanted else [],
    }
