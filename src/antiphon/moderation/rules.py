"""Rules as operators write them in TOML: patterns and lists of words, each for a category and with a score.

They are matched by RE2, in time that grows with the text alone: there is no pattern that can hang it.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import re2
from msgspec import Meta

from antiphon.errors import ConfigurationError
from antiphon.wire.moderations import CATEGORIES

FILE_NAME = "moderation.toml"
"""In the data folder; what it says is added to the rules that are shipped, unless it says otherwise."""
SHIPPED = Path(__file__).parent / "rules.toml"
MOST_BYTES = 1_048_576
MOST_RULES = 2000
_MEMORY = 8 * 1024 * 1024
"""Bytes that a pattern may compile to, and its states may take; past that RE2 is slower, and as exact."""
_SPACES = re.compile(r"\s+")

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,60}$")]
Pattern = Annotated[str, Meta(min_length=1, max_length=2000)]
Word = Annotated[str, Meta(min_length=1, max_length=200)]


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is of a category if it has one of the `words` (whole ones, any case) or matches a `pattern`.

    `all_of` are further patterns, each of which must match somewhere in the text too.
    """

    name: Name
    category: str
    score: Annotated[float, Meta(gt=0, le=1)] = 0.9
    words: list[Word] = []
    patterns: list[Pattern] = []
    all_of: list[Pattern] = []


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`shipped`: whether the rules that come with Antiphon count too."""

    shipped: bool = True
    rule: list[Rule] = []


class Rules:
    """Rules, compiled: `find` gives the highest score of each category."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.version = hashlib.sha256(msgspec.json.encode(rules)).hexdigest()[:12]
        self.categories = frozenset(rule.category for rule in rules)
        self._rules = [
            (rule.category, rule.score, [[compiled(text) for text in texts] for texts in conditions(rule)])
            for rule in rules
        ]

    def find(self, text: str) -> dict[str, float]:
        """Blocks for a moment that grows with the text."""
        seen, found = normal(text), dict[str, float]()
        for category, score, wanted in self._rules:
            if score > found.get(category, 0.0) and all(_any(patterns, seen) for patterns in wanted):
                found[category] = score
        return found


def compiled(pattern: str) -> Any:
    """Raises `re2.error`."""
    return re2.compile(pattern, _options())


def _any(patterns: Sequence[Any], text: str) -> bool:
    return any(pattern.search(text) is not None for pattern in patterns)


def normal(text: str) -> str:
    """As rules see it: compatibility forms are one, white space is one blank, case does not matter."""
    plain = unicodedata.normalize("NFKC", text).replace("\u2019", "'").replace("\u200b", "")
    return _SPACES.sub(" ", plain).casefold()


def conditions(rule: Rule) -> list[list[str]]:
    """The patterns of a rule: of each list one must match."""
    words = "|".join(re2.escape(normal(word)) for word in rule.words)
    own = [rf"\b(?:{words})\b"] if words else []
    return [own + rule.patterns, *([text] for text in rule.all_of)]


def load(home: Path) -> Rules:
    """The rules in force. Blocks on the disk. Raises `ConfigurationError`, which names file and line."""
    own = read(home / FILE_NAME)
    shipped = read(SHIPPED).rule if own.shipped else []
    return Rules([*shipped, *own.rule])


def read(path: Path) -> Document:
    """A file of rules, each of them checked; an empty document if there is none."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return Document()
    except OSError as problem:
        raise _wrong(path, 0, f"it cannot be read: {problem.strerror}") from None
    if len(text) > MOST_BYTES:
        raise _wrong(path, 0, f"it has more than {MOST_BYTES} bytes")
    try:
        raw = tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise _wrong(path, 0, str(problem)) from None
    try:
        found = msgspec.convert(raw, Document)
    except msgspec.ValidationError as problem:
        at = re.search(r"rule\[(\d+)\]", str(problem))
        raise _wrong(path, _line(text, int(at[1])) if at else 0, str(problem)) from None
    _check(path, text, found.rule)
    return found


def _check(path: Path, text: bytes, rules: Sequence[Rule]) -> None:
    names: set[str] = set()
    if len(rules) > MOST_RULES:
        raise _wrong(path, 0, f"it has more than {MOST_RULES} rules")
    for at, rule in enumerate(rules):
        if problem := _problem(rule, names):
            raise _wrong(path, _line(text, at), f"rule '{rule.name}': {problem}")
        names.add(rule.name)


def _problem(rule: Rule, names: set[str]) -> str:
    if rule.name in names:
        return "there is another one of this name"
    if rule.category not in CATEGORIES:
        return f"there is no category '{rule.category[:60]}'"
    if not rule.words and not rule.patterns:
        return "it has neither words nor patterns"
    for texts in conditions(rule):
        for pattern in texts:
            try:
                empty = compiled(pattern).search("") is not None
            except re2.error as problem:
                # Its text is the pattern's own, and what RE2 says of it.
                return f"the pattern {pattern[:80]!r} cannot be compiled: {_said(problem)}"
            if empty:
                return f"the pattern {pattern[:80]!r} matches everything"
    return ""


def _said(problem: Exception) -> str:
    said = problem.args[0] if problem.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


def _options() -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = _MEMORY
    return options


def _line(text: bytes, number: int) -> int:
    """The line on which the rule of this number begins."""
    heads = [at for at, line in enumerate(text.splitlines(), 1) if line.strip().startswith(b"[[rule]]")]
    return heads[number] if number < len(heads) else 0


def _wrong(path: Path, line: int, what: str) -> ConfigurationError:
    place = f"{path}, line {line}" if line else str(path)
    return ConfigurationError(f"{place}: {what}", fix="mend the file, or remove it")
