"""Grammars that hold what the model writes to the words of the passage it writes about.

A model of 135 million parameters invents when it may, and is apt at choosing how to go on when it may not.
`tight` grammars leave it the beginnings of a question or a sentence, and runs of words of the passage; the
others hold a larger model to the form alone.
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
_NOT_FIRST = frozenset("of and or but that which so when because about is are called".split())
_DETERMINERS = frozenset("a an the its their this these".split())
_JOINTS = frozenset(
    "and but or because before after when where while which who so as in on at by for from with without if"
    " until".split()
)
"""Before these a run may end."""
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
    if number := study.NUMBER.fullmatch(term):
        clauses, things = _runs(_piece(told, term), term)
        unit = study.plural(number[2])
        openers = [f"How many {unit}{verb}" for verb in _VERBS]
        openers += ["How long does", "How long is", "How long can"] if unit in _TIMES else []
        openers = ["What percentage of"] if unit == "percent" else openers
        runs = [_run(tokens, bare=True) for tokens in [*clauses, *things]]
        return rf"^{_any(openers)} ({'|'.join(runs)})\?$"
    if (rest := _predicate(told, term)) and len(rest) > 1:
        return rf"^(What|Which one) {_run(rest)}\?$"
    clauses, things = _runs(told, term)
    events = "|".join(map(_run, _events(told, term)))
    kinds = [rf"What is it called when ({events})"] if events else []
    kinds += (
        [rf"{_any(_OF_THINGS)} ({'|'.join(map(_run, things or clauses))})( called)?"]
        if things or not events
        else []
    )
    return rf"^({'|'.join(kinds)})\?$"


def can_ask_for(told: str, term: str) -> bool:
    """Whether enough words are left of what is told, without the term, to ask for it."""
    return any(_runs(_piece(told, term) if study.NUMBER.fullmatch(term) else told, term))


def feedback(told: str, term: str, right: bool, tight: bool = True) -> str:
    """One sentence with the right answer in it: what it is, or what the text says with it."""
    opener = _any(
        ["Yes,", "Right,", "Correct,", "Well done,"] if right else ["Remember that", "Not quite,", "Almost,"]
    )
    if not tight:
        return rf"^{opener} {_FREE}{{0,120}}{_literal(term)}{_FREE}{{2,200}}\.$"
    said, name = [_with(told, term)], rf"((the|a|an) )?{_literal(term)}"
    clauses, _ = _runs(told, term)
    if re.match(rf"(A|An|The)\b[^,.;:]* (is|are) (called )?((an?|the) )?{re.escape(term)}\b", told):
        said.append(f"{name} is {_run(clauses[0])}")
    elif _before(told, term) and _events(told, term):
        said.append(rf"{name} is (when|what happens when) ({'|'.join(map(_run, _events(told, term)))})")
    return rf"^{opener} ({'|'.join(said)})\.$"


def answer(sentences: Iterable[str], tight: bool = True) -> str:
    """What the sentences say, in runs of their words: of the first, and perhaps of those after it."""
    if not tight:
        return rf"^[A-Z]{_FREE}{{20,400}}\.$"
    first, *more = [f"({'|'.join(map(_run, _clauses(sentence)))})" for sentence in sentences]
    joined = "".join(rf"((, and|;) {run})?" for run in more)
    return rf"^(According to the text, |The text says that )?{first}{joined}\.$"


def _runs(told: str, term: str) -> tuple[list[list[str]], list[list[str]]]:
    """What is told without the term, as tokens: clauses from the beginning, and things from an article on."""
    clauses: list[list[str]] = []
    things: list[list[str]] = []
    for piece in re.split(rf"[.;:!?()]+(?:\s|$)|,\s|{re.escape(term)}", told):
        tokens = _tokens(piece)[:20]
        while tokens and _word(tokens[0]) in _NOT_FIRST:
            del tokens[0]
        while tokens and _word(tokens[-1]) in study.STOPWORDS:
            del tokens[-1]
        clauses += [tokens] if len(tokens) > 1 else []
        things += [tokens[start:] for start, token in enumerate(tokens[:-2]) if _word(token) in _DETERMINERS]
    return clauses, things


def _before(told: str, term: str) -> str:
    """What comes before "this is called" and the like, of the term; nothing where it is not said so."""
    named = rf"\b(this|that|which)( \w+)? is (called )?{re.escape(term)}\b"
    found = re.search(named, told, re.IGNORECASE)
    return told[: found.start()] if found else ""


def _events(told: str, term: str) -> list[list[str]]:
    """Clauses that may be what the term names: the last before it is named, else all with room for a verb."""
    before = _before(told, term)
    events = [tokens for tokens in _runs(before or told, term)[0] if len(tokens) > 3]
    return events[-1:] if before else events


def _piece(told: str, term: str) -> str:
    """The part of a sentence, between commas, that has the term."""
    return next((one for one in re.split(r"[;:,]\s", told) if term in one), told)


def _predicate(told: str, term: str) -> list[str]:
    """The rest of a sentence that begins with the term, up to a comma."""
    found = re.search(rf"(?:^|[.!?] )(?:(?:A|An|The) )?{re.escape(term)} ([^.,;:!?]+)", told)
    return _tokens(found[1]) if found else []


def _clauses(sentence: str) -> list[list[str]]:
    """A sentence, and what is left of it from each comma on."""
    tokens = _tokens(sentence)[:40]
    starts = [place for place in range(len(tokens) - 2) if place == 0 or tokens[place][0] in ",;:"]
    return [tokens[start:] for start in starts if not start or _word(tokens[start]) not in _NOT_FIRST]


def _tokens(text: str) -> list[str]:
    """Words, each with what parts it from the one before."""
    return re.findall(rf"(?:[,;:] | )?{study.WORD}", text.strip())


def _word(token: str) -> str:
    return token.lstrip(",;: ").lower()


def _run(tokens: list[str], least: int = 3, bare: bool = False) -> str:
    """A pattern for the first `least` words, in either case, and for more up to where a phrase may end.

    With `bare`, words may lack their last s, since what "stays" is asked for with "does … stay".
    """
    form = _bare if bare else _literal
    tail = ""
    for place in range(len(tokens) - 1, 0, -1):
        may_stop = place >= least and (tokens[place][0] in ",;:" or _word(tokens[place]) in _JOINTS)
        tail = f"({form(tokens[place])}{tail})?" if may_stop else form(tokens[place]) + tail
    first = tokens[0].lstrip(",;: ")
    begin = f"({first[0].upper()}|{first[0].lower()})" if first[0].isalpha() else first[0]
    return begin + _literal(first[1:]) + tail


def _with(told: str, term: str) -> str:
    """The sentence that has the term, at least as far as that."""
    sentence = next(one for one in study.sentences(told) if term in one)
    until = len(_tokens(sentence[: sentence.index(term)] + term))
    return _run(_tokens(sentence), max(3, until))


def _bare(token: str) -> str:
    return _literal(token) + ("?" if re.fullmatch(r" [a-z]{3,}[^s]s", token) else "")


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
