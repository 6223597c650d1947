"""Whisper's language: prompts as tokens, and timed segments out of tokens."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import tokenizers
from faster_whisper.tokenizer import Tokenizer

TICK = 0.02
"""Seconds between two timestamps."""
MOST_PROMPT = 223
"""Tokens of a prompt that the model reads: half of its text, less one."""


class Piece(msgspec.Struct, frozen=True):
    """A segment within its window: seconds from the window's start, and its tokens, timestamps included."""

    start: float
    end: float
    tokens: list[int]


class Language:
    """The tokens of one model."""

    def __init__(self, folder: Path, *, multilingual: bool) -> None:
        self._multilingual = multilingual
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._of = {"en": self._make("en", "transcribe")}
        plain = self._of["en"]
        self.eot: int = plain.eot
        self.timestamp_begin: int = plain.timestamp_begin
        self._previous: int = plain.sot_prev
        self.suppressed = sorted(
            {*plain.non_speech_tokens, *_present(self._tokenizer), plain.sot, plain.sot_prev}
        )

    def _make(self, language: str, task: str) -> Tokenizer:
        return Tokenizer(self._tokenizer, self._multilingual, task=task, language=language)

    def start(self, language: str, task: str) -> list[int]:
        """What every answer begins with: start of transcript, language, task."""
        if not self._multilingual:
            return [self._of["en"].sot]
        of_language: list[int] = self._make(language, task).sot_sequence
        return of_language

    def context(self, prompt: str | None) -> list[int]:
        """A client's prompt as text that came before; its end, if it is longer than the model reads."""
        if not prompt or not prompt.strip():
            return []
        tokens = self._tokenizer.encode(" " + prompt.strip(), add_special_tokens=False).ids
        # Special tokens in the text would steer the model.
        plain = [token for token in tokens if token < self.eot]
        return [self._previous, *plain[-MOST_PROMPT:]] if plain else []

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens say, timestamps and control tokens aside."""
        return str(self._tokenizer.decode([token for token in tokens if token < self.eot]))

    def words(self, tokens: list[int], language: str) -> tuple[list[str], list[list[int]]]:
        """Text tokens as words: by spaces; by characters in Chinese, Cantonese, Japanese, Thai, Lao, Burmese.

        Characters that one token holds stay together. Of other languages without spaces, such as Khmer and
        Tibetan, a word is what stands between two spaces or signs.
        """
        if language not in self._of:
            self._of[language] = self._make(language, "transcribe")
        words, grouped = self._of[language].split_to_word_tokens(tokens)
        rest = tokens[sum(map(len, grouped)) :]
        # A model that was stopped may leave half a character.
        return ([*words, self.text(rest)], [*grouped, rest]) if rest else (words, grouped)

    def pieces(self, tokens: Sequence[int], length: float) -> list[Piece]:
        """The segments of a window of `length` seconds, in order, none of them without length.

        Text that begins where the sound has ended was made up, and is left out. Text whose times go back, or
        are one moment, is told with what was said before it; or after it, if it is the first.
        """
        pieces = list[Piece]()
        at, early = 0.0, list[int]()
        for start, end, held in self._stretches(tokens):
            if start >= length:
                continue
            start, end = max(start, at), min(end, length)
            if end > start + TICK / 2:
                pieces.append(Piece(start, end, [*early, *held]))
                at, early = end, []
            elif pieces:
                last = pieces[-1]
                pieces[-1] = Piece(last.start, last.end, [*last.tokens, *held])
            else:
                early += held
        return pieces or ([Piece(0.0, length, early)] if early else [])

    def last(self, tokens: Sequence[int]) -> tuple[float, float | None]:
        """When the last text of a window begins and ends, as the model wrote it: None where it did not."""
        start, end, _ = [(0.0, math.inf, []), *self._stretches(tokens)][-1]
        return start, end if end < math.inf else None

    def _stretches(self, tokens: Sequence[int]) -> Iterator[tuple[float, float, list[int]]]:
        """Runs of text with the timestamps around them; what has none reaches to its neighbour."""
        start, held, text = 0.0, list[int](), False
        for token in tokens:
            if token < self.timestamp_begin:
                text = text or token < self.eot
                held.append(token)
                continue
            moment = (token - self.timestamp_begin) * TICK
            held.append(token)
            if text:
                yield start, moment, held
                held, text = [], False
            else:
                held = held[-1:]
            start = moment
        if text:
            yield start, math.inf, held


def _present(tokenizer: tokenizers.Tokenizer) -> list[int]:
    names = ("transcribe", "translate", "startoflm", "nospeech", "nocaptions")
    found = (tokenizer.token_to_id(f"<|{name}|>") for name in names)
    return [token for token in found if token is not None]
