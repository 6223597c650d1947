"""The words of an answer: what the model is asked, and whether what it wrote is what the result says."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

from counter import Result
from pantry import HERE, Pantry, stems

SYSTEM = "You serve customers of a food shop. Tell them the result in one or two short sentences."
_EXAMPLES: dict[str, list[tuple[str, str, str]]] = tomllib.loads((HERE / "wordings.toml").read_text())


def messages(request: str, tool: str, result: Result) -> list[dict[str, str]]:
    """What the model is asked, after examples of the same tool."""
    asking = [{"role": "system", "content": SYSTEM}]
    for example, outcome, answer in _EXAMPLES[tool]:
        asking.append({"role": "user", "content": f"{example}\nResult: {outcome}"})
        asking.append({"role": "assistant", "content": answer})
    return [*asking, {"role": "user", "content": f"{request}\nResult: {result.text}"}]


def problems(answer: str, request: str, result: Result, pantry: Pantry) -> list[str]:
    """What in an answer is not in the result, or is missing from it; empty if it can stand."""
    return list(dict.fromkeys([*_form(answer, result), *_facts(answer, request, result, pantry)]))


def _form(answer: str, result: Result) -> Iterator[str]:
    words = stems(answer)
    if not answer.rstrip().endswith((".", "!", "?")):
        yield "no whole sentence"
    # What is much longer than the result has come from elsewhere.
    if not 3 <= len(words) <= 8 + 1.5 * len(stems(result.text)):
        yield f"{len(words)} words"
    if any(words[n : n + 5] == words[m : m + 5] for n in range(len(words) - 4) for m in range(n)):
        yield "says something twice"
    yield from (f"“{word} {word}”" for word, after in zip(words, words[1:], strict=False) if word == after)


def _facts(answer: str, request: str, result: Result, pantry: Pantry) -> Iterator[str]:
    known = f"{result.text} {request}"
    figures = set(re.findall(r"\d+(?:\.\d+)?", known))
    yield from (f"“{number}”" for number in re.findall(r"\d+(?:\.\d+)?", answer) if number not in figures)
    # A part of a name is enough: "minced lamb" may be called lamb.
    words = set(stems(known))
    yield from (f"“{name}”" for name in pantry.named(answer) if not set(stems(name)) <= words)
    stores = [store.name for store in pantry.stores if store.name in answer and store.name not in result.text]
    yield from (f"“{store}”" for store in stores)
    yield from (
        f"nothing of “{need}”" for need in result.needed if not set(stems(need)) <= set(stems(answer))
    )
    if bool(re.match(r"\W*no\b", answer.lower())) > result.text.startswith(("No ", "Nothing ")):
        yield "“No”"
