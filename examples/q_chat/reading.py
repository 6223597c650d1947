"""From a file, Markdown, text or PDF, to sections, passages and the terms that one can be asked about."""

from __future__ import annotations

import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

from pypdf import PdfReader
from pypdf.errors import PyPdfError
from study import NUMBER, STOPWORDS, Material, Passage, sentences

MOST_BYTES = 5_000_000
MOST_PAGES = 60
MOST_CHARACTERS = 200_000
FEWEST_TERMS = 4
LONGEST_PASSAGE = 420
"""Characters; a longer paragraph becomes several passages, at the ends of sentences."""

_NAMED = re.compile(r"\b(?:called|known as|named) (?:an? |the )?([a-z]{5,}(?: [a-z]{5,})?)\b")
_PROPER = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}(?: (?:of )?[A-Z][a-z]+)*")


class Unreadable(ValueError):
    """Material that cannot be studied; its message says why and what to do."""


def read(name: str, content: bytes) -> Material:
    """A Markdown, text or PDF file as material. Raises `Unreadable`."""
    if len(content) > MOST_BYTES:
        raise Unreadable(f"The file is larger than {MOST_BYTES // 1_000_000} MB.")
    if content.startswith(b"%PDF"):
        blocks = list(_headed(_pdf_lines(content)))
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Unreadable("This is neither a PDF nor text in UTF-8.") from None
        blocks = list(_markdown(text))
    if sum(len(block) for _, block, _ in blocks) > MOST_CHARACTERS:
        raise Unreadable(f"The text is longer than {MOST_CHARACTERS:,} characters: give one chapter.")
    return _material(name, blocks)


def _pdf_lines(content: bytes) -> list[str]:
    try:
        pages = PdfReader(io.BytesIO(content)).pages
        if len(pages) > MOST_PAGES:
            raise Unreadable(f"The PDF has {len(pages)} pages; at most {MOST_PAGES} are read.")
        text = "\n".join(page.extract_text() for page in pages)
    except Unreadable:
        raise
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as problem:
        raise Unreadable(f"The PDF cannot be read, it is damaged or locked: {problem}") from None
    if not text.strip():
        raise Unreadable("The PDF has no text: it may be a scan, whose pages are pictures.")
    # What is set as one sign, as "fi" often is, is two letters to whoever looks for a word.
    return [line.strip() for line in unicodedata.normalize("NFKC", text).splitlines()]


def _headed(lines: list[str]) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Blocks of a PDF: a short line between sentences is a heading, one that ends early ends a paragraph."""
    level, kept = 1, ""
    short = 0.8 * max(map(len, lines))
    for line in filter(None, lines):
        begins = not kept or kept.endswith((".", "!", "?", ":"))
        if begins and len(line) < 60 and re.fullmatch(r"[A-Z0-9][^.!?;]*[\w)]", line):
            yield from [(0, kept, ())] if kept else []
            yield level, line, ()
            level, kept = 2, ""
            continue
        kept = kept[:-1] + line if re.search(r"[a-z]-$", kept) else f"{kept} {line}".strip()
        if line.endswith((".", "!", "?")) and len(line) < short:
            yield 0, kept, ()
            kept = ""
    yield from [(0, kept, ())] if kept else []


def _markdown(text: str) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Level of a heading, or 0; its text without marks; what is bold in it."""
    apart = re.sub(r"^(#{1,6} .*)$", r"\n\1\n", text.replace("\r\n", "\n"), flags=re.MULTILINE)
    for block in re.split(r"\n\s*\n|\n(?=[-*] |\d+\. )", apart):
        heading = re.match(r"\s*(#{1,6}) ", block)
        plain = re.sub(r"^(#{1,6}|[-*>]|\d+\.)\s+", "", block.strip())
        bold = tuple(re.findall(r"\*\*([^*\n]{2,40})\*\*", plain))
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", plain)
        plain = " ".join(re.sub(r"[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}", "", plain).split())
        if plain:
            yield (len(heading[1]) if heading else 0), plain, bold


def _material(name: str, blocks: list[tuple[int, str, tuple[str, ...]]]) -> Material:
    title, sections, passages = name, [], []
    prose = " ".join(block for level, block, _ in blocks if not level)
    marked = list(dict.fromkeys(term for level, _, bold in blocks if not level for term in bold))
    frequent = Counter(re.findall(r"\b[a-z]{6,}\b", prose))
    for unit in {found[2] for found in NUMBER.finditer(prose)}:
        del frequent[unit]
    for level, block, bold in blocks:
        if level == 1 and not sections:
            title = block
        elif level:
            sections.append(block)
        else:
            sections = sections or [title]
            for text in _cut(block):
                terms = _marked(text, bold, marked) if marked else _guessed(text, frequent)
                terms += [found[0] for found in NUMBER.finditer(text) if text.count(found[0]) == 1][:1]
                passages.append(
                    Passage(len(passages) + 1, len(sections) - 1, text, tuple(dict.fromkeys(terms)))
                )
    # Sections without text, as a heading above other headings, are left out.
    used = sorted({passage.section for passage in passages})
    renumbered = [
        Passage(passage.number, used.index(passage.section), passage.text, passage.terms)
        for passage in passages
    ]
    if len({term for passage in passages for term in passage.terms}) < FEWEST_TERMS:
        raise Unreadable(
            f"There is too little to ask about: fewer than {FEWEST_TERMS} terms or numbers were found."
        )
    return Material(title, tuple(sections[number] for number in used), tuple(renumbered))


def _cut(block: str) -> Iterator[str]:
    kept = ""
    for sentence in sentences(block):
        if kept and len(kept) + len(sentence) > LONGEST_PASSAGE:
            yield kept
            kept = ""
        kept = f"{kept} {sentence}".strip()
    yield kept


def _marked(text: str, bold: tuple[str, ...], marked: list[str]) -> list[str]:
    """What is bold here, else the first term that is bold elsewhere."""
    return [term for term in bold if term in text] or [term for term in marked if term in text][:1]


def _guessed(text: str, frequent: Counter[str]) -> list[str]:
    """Where nothing is bold: what is "called" something, else a proper name, else the most frequent word."""
    named = [found[1] for found in _NAMED.finditer(text)] or [found[0] for found in _PROPER.finditer(text)][
        :1
    ]
    often = [
        word for word in re.findall(r"\b[a-z]{6,}\b", text) if frequent[word] > 1 and word not in STOPWORDS
    ]
    return named or sorted(often, key=lambda word: (-frequent[word], -len(word)))[:1]
