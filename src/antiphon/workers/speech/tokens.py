"""Whisper's language: prompts as tokens, and timed segments out of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import tokenizers
from faster_whisper.tokenizer import _LANGUAGE_CODES, Tokenizer

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

    def knows(self, language: str) -> bool:
        """Whether the model was trained on a language, by its code."""
        if not self._multilingual:
            return language == "en"
        # Other control tokens have names like those of languages.
        return language in _LANGUAGE_CODES and self._tokenizer.token_to_id(f"<|{language}|>") is not None

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
        """Text tokens as words: by spaces, or by characters in languages without."""
        if language not in self._of:
            self._of[language] = self._make(language, "transcribe")
        words, grouped = self._of[language].split_to_word_tokens(tokens)
        rest = tokens[sum(map(len, grouped)) :]
        # A model that was stopped may leave half a character.
        return ([*words, self.text(rest)], [*grouped, rest]) if rest else (words, grouped)

    def pieces(self, tokens: Sequence[int], length: float) -> Iterator[Piece]:
        """The segments of a window of `length` seconds, in order, with times that never go back."""
        at = 0.0
        for start, end, held in self._stretches(tokens, length):
            start = min(max(start, at), length)
            at = min(max(end, start), length)
            if any(token < self.eot for token in held):
                yield Piece(start, at, held)

    def _stretches(self, tokens: Sequence[int], length: float) -> Iterator[tuple[float, float, list[int]]]:
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
            yield start, length, held


def _present(tokenizer: tokenizers.Tokenizer) -> list[int]:
    names = ("transcribe", "translate", "startoflm", "nospeech", "nocaptions")
    found = (tokenizer.token_to_id(f"<|{name}|>") for name in names)
    return [token for token in found if token is not None]
