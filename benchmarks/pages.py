"""Fills the tables of the pages from the newest results: `python -m benchmarks.pages`.

A table stands between `<!-- KIND: NAME -->` and `<!-- /KIND -->`, where KIND is a benchmark; what stands
there is replaced. The names are those of its `tables.block`. A benchmark without results leaves the pages as
they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from benchmarks import chaos, fairness, isolation, mixed, overload, pressure, ray, ten
from benchmarks.chat import tables as chat
from benchmarks.gateway import tables as gateway
from benchmarks.runs import RESULTS, ROOT
from benchmarks.scale import tables as scale
from benchmarks.speech import tables as speech
from benchmarks.vllm import tables as vllm

DOCS = ("benchmarks", "chat", "dedicated", "gateway", "ray", "reliability", "scale", "vllm")
NAMES = ("README.md", *(f"docs/{name}.md" for name in DOCS))
PAGES = tuple(ROOT / name for name in NAMES)
KINDS = "chaos|chat|fairness|gateway|isolation|mixed|overload|pressure|ray|reliability|scale|speech|vllm"
BLOCK = re.compile(rf"(<!-- ({KINDS}): ([\w-]+) -->\n).*?(<!-- /\2 -->)", re.DOTALL)

Block = Callable[[str], str]
"""The text of the table with that name, empty if there is none. Raises `KeyError` for an unknown name."""


def blocks() -> dict[str, Block]:
    """One for each benchmark that has results."""
    kinds = {
        "chaos": chaos, "chat": chat, "fairness": fairness, "gateway": gateway, "isolation": isolation,
        "mixed": mixed, "overload": overload, "pressure": pressure, "ray": ray, "reliability": ten,
        "scale": scale, "speech": speech, "vllm": vllm,
    }  # fmt: skip
    found = {kind: tables.newest(RESULTS) for kind, tables in kinds.items()}
    return {kind: block for kind, block in found.items() if block}


def filled(page: str, blocks: Mapping[str, Block]) -> str:
    """The page with its tables renewed."""

    def renewed(found: re.Match[str]) -> str:
        start, kind, name, end = found.groups()
        if kind not in blocks:
            return found[0]
        text = blocks[kind](name)
        return start + (f"{text}\n" if text else "") + end

    return BLOCK.sub(renewed, page)


def main() -> None:
    found = blocks()
    for page in PAGES:
        page.write_text(filled(page.read_text(), found))


if __name__ == "__main__":
    main()
