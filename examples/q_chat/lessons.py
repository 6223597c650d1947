"""One student's session, and what happens in it as events that the page shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import study
from author import Author
from tutor import Tutor


@dataclass
class Session:
    """One student: the material and the way through it. Nothing of it is written to a disk."""

    tutor: Tutor
    index: study.Index

    @classmethod
    def of(cls, material: study.Material) -> Session:
        return cls(Tutor(material), study.Index(material))


async def asked(author: Author, tutor: Tutor, section: Any) -> AsyncIterator[dict[str, Any]]:
    valid = isinstance(section, int) and 0 <= section < len(tutor.material.sections)
    item = tutor.next_item(section if valid else None)
    question = await author.question(item)
    name = tutor.material.sections[item.passage.section]
    yield {
        "asked": question,
        "level": item.level,
        "section": name,
        "choices": item.choices,
        "gapped": item.gapped,
    }


async def graded(author: Author, tutor: Tutor, said: str) -> AsyncIterator[dict[str, Any]]:
    item = tutor.item
    assert item is not None
    verdict = tutor.grade(said)
    expected = item.choices[item.right] if item.choices else item.term
    yield {"verdict": verdict, "expected": expected, "right": item.right, "progress": tutor.progress()}
    async for piece in author.feedback(item, verdict):
        yield {"text": piece}
    yield {"passages": [_passage(tutor, item.passage)]}


async def told(author: Author, session: Session, said: str) -> AsyncIterator[dict[str, Any]]:
    found = session.index.find(said, 2)
    if not found:
        yield {"notice": "The material has none of the words of this question. Ask it with other words."}
        return
    text = ""
    async for piece in author.answer(said, found):
        text += piece
        yield {"text": piece}
    cited = study.cited(text, found)
    nearest = cited or found[:1]
    yield {"supported": bool(cited), "passages": [_passage(session.tutor, passage) for passage in nearest]}


def _passage(tutor: Tutor, passage: study.Passage) -> dict[str, Any]:
    name = tutor.material.sections[passage.section]
    return {"number": passage.number, "section": name, "text": passage.text}


def shown(session: Session) -> dict[str, Any]:
    return {"title": session.tutor.material.title, "progress": session.tutor.progress()}
