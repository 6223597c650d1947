"""Grammars that hold what the model writes to the words of the passage it writes about.

A model of 135 million parameters invents when it may, and is apt at choosing how to go on when it may not. `tight`
grammars leave it the beginnings of a question or a sentence, and runs of words of the passage; the others hold a larger
model to the form alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import study

FIELD = "text"
_OF_THINGS = ("What is", "What are", "What is the name of", "What do we call", "Where is", "Where are")
_VERBS = ("", " does", " do", " is", " are", " can")
_TIMES = ("seconds", "minutes", "hours", "days", "weeks", "months", "years")
_BEFORE = ("is", "are", "does", "do", "can", "happens in", "happens at")
_AFTER = "happen work come made form mean its by with for on at the a in to and from of when".split()
_NOT_FIRST = frozenset("and or but that which so when because about is are called".split())
_DETERMINERS = frozenset("a an the its their this these".split())
_FREE = r"[A-Za-z0-9 ,.'-]"


def form(pattern: str) -> Any:
    """A `response_format`: an object with one text that has the pattern."""
    schema = {
        "type": "object",
        "properties": {FIELD: {"type": "string", "pattern": pattern}},
        "required": [FIELD],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "words", "strict": True, "schema": schema}}


def about(text: str, term: str, tight: bool = True) -> str:
    """A question that names the term."""
    if not tight:
        return rf"^(What|How|Why|Where|When) {_FREE}{{1,60}}{_literal(term)}{_FREE}{{0,60}}\?$"
    known = [word for word in study.content(text) if word.lower() not in term.lower()]
    after = _any([*known, *_AFTER])
    return rf"^(What|How|Why|Where|When) {_any(_BEFORE)} (the |a |an )?{_literal(term)}( {after}){{0,6}}\?$"


def asking_for(told: str, term: str, tight: bool = True) -> str:
    """A question whose answer is the term: a beginning that fits it, then a run of words of what is told."""
    if not tight:
        return rf"^(What|Which|Who|Where|When|How) {_FREE}{{12,120}}\?$"
    clauses, things = _runs(told, term)
    if number := study.NUMBER.fullmatch(term):
        unit = study.plural(number[2])
        openers = [f"How many {unit}{verb}" for verb in _VERBS]
        openers += ["How long does", "How long is", "How long can"] if unit in _TIMES else []
        openers = ["What percentage of"] if unit == "percent" else openers
        return rf"^{_any(openers)} ({'|'.join([*clauses, *things])})\?$"
    kinds = [rf"What is it called when ({'|'.join(clauses)})"] if clauses else []
    kinds += [rf"{_any(_OF_THINGS)} ({'|'.join(things)})( called)?"] if things else []
    return rf"^({'|'.join(kinds)})\?$"


def can_ask_for(told: str, term: str) -> bool:
    """Whether enough words are left of what is told, without the term, to ask for it."""
    return any(_runs(told, term))


def feedback(told: str, term: str, right: bool, tight: bool = True) -> str:
    """One sentence with the right answer in it: what it is, or what the text says with it."""
    opener = _any(["Yes,", "Right,", "Correct,", "Well done,"] if right else ["Remember that", "Not quite,", "Almost,"])
    if not tight:
        return rf"^{opener} {_FREE}{{0,120}}{_literal(term)}{_FREE}{{2,200}}\.$"
    clauses, things = _runs(told, term)
    said = [_with(told, term)]
    if _defines(told, term):
        name = f"((the|a|an) )?{_literal(term)}"
        said += [f"{name} is (when|what happens when) ({'|'.join(clauses)})"] if clauses else []
        said += [f"{name} (is|are|is the name of) ({'|'.join(things)})"] if things else []
    return rf"^{opener} ({'|'.join(said)})\.$"


def answer(sentences: Iterable[str], tight: bool = True) -> str:
    """What the sentences say, in runs of their words: one, or two joined."""
    if not tight:
        return rf"^[A-Z]{_FREE}{{20,400}}\.$"
    run = f"({'|'.join(dict.fromkeys(run for sentence in sentences for run in _runs(sentence)[0]))})"
    return rf"^(Because |According to the text, |The text says that )?{run}((, and|, because|, so) {run})?\.$"


def _runs(told: str, term: str = "") -> tuple[list[str], list[str]]:
    """Patterns for runs of words between commas and the term: of clauses from their beginning, and of things from an
    article on; each may go on to any word that says something."""
    clauses, things = [], []
    for piece in re.split(r"[.;:!?()]+(?:\s|$)|,\s" + (rf"|{re.escape(term)}" if term else ""), told):
        words = study.words(piece)[:20]
        while words and words[0].lower() in _NOT_FIRST:
            del words[0]
        while words and words[-1].lower() in study.STOPWORDS:
            del words[-1]
        clauses += [_run(words)] if len(words) > 1 else []
        things += [_run(words[start:]) for start, word in enumerate(words[:-2]) if word.lower() in _DETERMINERS]
    return clauses, things


def _run(words: list[str], least: int = 3) -> str:
    """The first `least` words, and more up to any that is no mere helper; the first one in either case."""
    tail = ""
    for place in range(len(words) - 1, 0, -1):
        may_stop = place >= least and words[place - 1].lower() not in study.STOPWORDS
        tail = f"( {_inflected(words[place])}{tail})" + ("?" if may_stop else "")
    first = words[0]
    begin = f"({first[0].upper()}|{first[0].lower()})" if first[0].isupper() else first[0]
    return begin + _literal(first[1:]) + tail


def _with(told: str, term: str) -> str:
    """The sentence that has the term, at least as far as that."""
    sentence = next(one for one in study.sentences(told) if term in one)
    until = len(study.words(sentence[: sentence.index(term)] + term))
    return _run(study.words(sentence), max(3, until))


def _defines(told: str, term: str) -> bool:
    """Whether the text says what the term is."""
    name = re.escape(term)
    return re.search(rf"\b(called|is|are|named) ((an?|the) )?{name}\b|\b{name} (is|are) (an?|the)\b", told) is not None


def _inflected(word: str) -> str:
    """With or without its last s: what "stays" is asked for with "does … stay"."""
    return _literal(word) + ("?" if re.fullmatch(r"[a-z]{3,}[^s]s", word) else "")


def _literal(text: str) -> str:
    return re.sub(r"([^\w\s',-])", r"\\\1", text)


def _any(words: Iterable[str]) -> str:
    """A pattern for one of the words, which branches where they differ: the server has less to try."""
    branches: dict[str, list[str]] = {}
    ends = False
    for word in dict.fromkeys(words):
        if word:
            branches.setdefault(word[0], []).append(word[1:])
        else:
            ends = True
    if not branches:
        return ""
    pattern = "|".join(_literal(first) + _any(rest) for first, rest in branches.items())
    return (f"({pattern})" if len(branches) > 1 or ends else pattern) + ("?" if ends else "")
