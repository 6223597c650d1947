"""What code can tell of a recording from its words and their times: pace, hesitation, and what differs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from spelled import spelled

FILLERS = frozenset("ah eh er erm hm hmm mm mmm uh uhm um umm".split())
PAUSE_SECONDS = 0.7
WORD_SECONDS = (0.25, 0.09)
"""How long a word is taken to last, slowly said: so much, and so much for each letter. Where a speaker stops,
the word beside the pause is often given its time."""
SLOW, FAST = 100, 170


@dataclass(frozen=True)
class Word:
    """A word of the transcript; `start` and `end` are in seconds."""

    text: str
    start: float
    end: float


def plain(text: str) -> list[str]:
    """The words of a text as they are compared: in lower case, without punctuation, numbers as words."""
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower().replace("’", "'"))
    return [part for word in words for part in spelled(word)]


def is_filler(word: Word) -> bool:
    """Whether a word is only a sound of hesitation."""
    return set(plain(word.text)) <= FILLERS


def pace(words: Sequence[Word]) -> int | None:
    """Words a minute, fillers left out and pauses in; `None` for fewer than two words, which have none."""
    said = [word for word in words if not is_filler(word)]
    if len(said) < 2:
        return None
    return round(60 * sum(len(plain(word.text)) for word in said) / max(0.1, words[-1].end - words[0].start))


def pauses(words: Sequence[Word]) -> list[dict[str, Any]]:
    """Where the speaker stopped for `PAUSE_SECONDS` or longer: after which word, and for how long."""
    found = []
    for before, word in zip(words, words[1:], strict=False):
        lasting = WORD_SECONDS[0] + WORD_SECONDS[1] * len("".join(plain(word.text)))
        silent = word.start - before.end + max(0.0, word.end - word.start - lasting)
        if silent >= PAUSE_SECONDS:
            found.append({"after": plain(before.text)[-1], "seconds": round(silent, 1)})
    return found


def compared(target: str, words: Sequence[Word]) -> list[dict[str, str]]:
    """The target word by word: `same`, `missing`, `extra`, or `different` from what was said there.

    Fillers count as hesitation and not as words that differ.
    """
    wanted = [word for word in plain(target) if word not in FILLERS]
    said = [one for word in words if not is_filler(word) for one in plain(word.text)]
    parts: list[dict[str, str]] = []
    for kind, i, j, k, m in SequenceMatcher(None, wanted, said, autojunk=False).get_opcodes():
        if kind == "equal":
            parts += [{"kind": "same", "wanted": word, "said": word} for word in wanted[i:j]]
            continue
        both = min(j - i, m - k)
        parts += [{"kind": "different", "wanted": wanted[i + n], "said": said[k + n]} for n in range(both)]
        parts += [{"kind": "missing", "wanted": word, "said": ""} for word in wanted[i + both : j]]
        parts += [{"kind": "extra", "wanted": "", "said": word} for word in said[k + both : m]]
    return parts


def feedback(target: str, words: Sequence[Word]) -> dict[str, Any]:
    """All of it, as the page shows it; `words` of the diff are empty without a target."""
    words = [word for word in words if plain(word.text)]
    speed = pace(words)
    verdict = "" if speed is None else "slow" if speed < SLOW else "fast" if speed > FAST else "comfortable"
    return {
        "pace": speed,
        "verdict": verdict,
        "pauses": pauses(words),
        "fillers": [plain(word.text)[0] for word in words if is_filler(word)],
        "words": compared(target, words) if plain(target) else [],
    }
