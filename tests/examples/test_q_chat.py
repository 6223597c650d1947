"""What Q-Chat decides without a model: reading, finding, choosing, grading, citing; and its grammars."""

from __future__ import annotations

import importlib
import random
import re
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parents[2] / "examples" / "q_chat"
TEXTS = HERE / "texts"
# Modules of an application import each other by their names alone, as from its folder.
sys.path.append(str(HERE))
reading, study, tutoring, grammars = map(importlib.import_module, ("reading", "study", "tutor", "grammars"))
SMALL = b"""# Bees

## The hive

Bees build cells of **wax**. A hive holds about 40000 bees in summer.

## Food

Bees carry **nectar** home from flowers. The food that they make of it for the winter is called **honey**.
"""


def test_markdown_becomes_sections_passages_and_terms() -> None:
    material = reading.read("bees.md", SMALL)
    assert material.title == "Bees" and material.sections == ("The hive", "Food")
    assert [(p.number, p.section, p.terms) for p in material.passages] == [
        (1, 0, ("wax", "40000 bees")),
        (2, 1, ("nectar", "honey")),
    ]
    assert "*" not in material.passages[0].text


def test_the_pdf_has_the_sections_of_the_text_that_it_was_made_from() -> None:
    written = reading.read("w", (TEXTS / "water-cycle.md").read_bytes())
    printed = reading.read("w", (TEXTS / "water-cycle.pdf").read_bytes())
    assert (printed.title, printed.sections) == (written.title, written.sections)
    assert " ".join(p.text for p in printed.passages) == " ".join(p.text for p in written.passages)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"%PDF-1.7 and then nothing", "damaged or locked"),
        ((TEXTS / "water-cycle.pdf").read_bytes()[:9000], "damaged or locked"),
        (b"\xff\xfe\x00", "neither a PDF nor text"),
        (b"", "too little to ask about"),
        (b"Only a line.", "too little to ask about"),
        (b"a" * 5_000_001, "larger than 5 MB"),
        (b"word " * 50_000, "longer than"),
    ],
)
def test_what_cannot_be_studied_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(reading.Unreadable, match=says):
        reading.read("x", content)


def test_a_pdf_of_many_pages_is_refused(tmp_path: Path) -> None:
    from pypdf import PdfWriter

    writer = PdfWriter()
    for _ in range(61):
        writer.add_blank_page(100, 100)
    writer.write(tmp_path / "long.pdf")
    with pytest.raises(reading.Unreadable, match="61 pages"):
        reading.read("long.pdf", (tmp_path / "long.pdf").read_bytes())


def test_passages_are_found_by_their_words() -> None:
    index = study.Index(reading.read("tides", (TEXTS / "tides.md").read_bytes()))
    assert "16 metres" in index.find("How high does water rise in the Bay of Fundy?")[0].text
    assert index.find("Who painted the Mona Lisa?") == []
    assert index.find('what is "it"? OR -* NEAR(') == []


def test_an_answer_is_cited_by_its_words() -> None:
    passages = list(reading.read("bees", SMALL).passages)
    assert study.cited("A hive holds 40000 bees in summer.", passages) == passages[:1]
    assert study.cited("Bees carry nectar, and build cells of wax in a hive.", passages) == passages
    assert study.cited("Elephants paint landscapes beautifully.", passages) == []


def item(term: str, level: int) -> Any:
    passage = next(p for p in reading.read("bees", SMALL).passages if term in p.terms)
    return tutoring.Item(passage, term, level)


@pytest.mark.parametrize(
    ("term", "level", "said", "verdict"),
    [
        ("honey", 2, "Honey", "right"),
        ("honey", 2, "the hony", "right"),
        ("honey", 2, "wax", "wrong"),
        ("40000 bees", 2, "about 40,000", "right"),
        ("40000 bees", 2, "4000", "wrong"),
        ("wax", 3, "Bees build cells of it in the hive", "right"),
        ("wax", 3, "something with bees", "partly"),
        ("wax", 3, "I do not know", "wrong"),
        ("wax", 3, "wax wax wax", "wrong"),
    ],
)
def test_answers_are_graded(term: str, level: int, said: str, verdict: str) -> None:
    assert tutoring.grade(item(term, level), said) == verdict


def test_a_gap_leaves_nothing_of_the_term() -> None:
    assert "honey" not in item("honey", 2).gapped
    assert tutoring.gap("Wax is wax, waxed.", "wax") == "____ is ____, waxed."


def answered(tutor: Any, right: bool, section: int | None = None) -> Any:
    asked = tutor.next_item(section)
    good = str(asked.right) if asked.choices else asked.passage.text if asked.level == 3 else asked.term
    tutor.grade(good if right else "nothing of it")
    return asked


def test_it_gets_harder_with_right_answers_and_easier_with_wrong_ones() -> None:
    tutor = tutoring.Tutor(reading.read("bees", SMALL), random.Random(0))
    levels = [answered(tutor, right, 1).level for right in (True, True, True, False, False, True)]
    assert levels == [1, 2, 3, 3, 2, 1]


def test_the_section_known_least_is_next_and_all_can_be_known() -> None:
    tutor = tutoring.Tutor(reading.read("bees", SMALL), random.Random(0))
    assert [answered(tutor, True).passage.section for _ in range(2)] == [0, 1]
    for _ in range(30):
        answered(tutor, True)
    assert [one["known"] for one in tutor.progress()] == [1.0, 1.0]
    assert all(one["right"] == one["answered"] > 0 for one in tutor.progress())


def test_what_went_wrong_comes_back() -> None:
    tutor = tutoring.Tutor(reading.read("tides", (TEXTS / "tides.md").read_bytes()), random.Random(2))
    missed = answered(tutor, False)
    later = [answered(tutor, True) for _ in range(3)]
    assert [one.term == missed.term and one.passage == missed.passage for one in later] == [
        False,
        False,
        True,
    ]


def test_choices_are_of_the_material_and_do_not_tell_the_term() -> None:
    text = (TEXTS / "tides.md").read_text().replace("**", "").replace("\n", " ")
    tutor = tutoring.Tutor(reading.read("tides", (TEXTS / "tides.md").read_bytes()), random.Random(1))
    sections = [number % 5 for number in range(40)]
    seen = [asked for asked in (answered(tutor, False, section) for section in sections) if asked.choices]
    assert len(seen) > 20
    for one in seen:
        assert len(one.choices) == len(set(one.choices)) == 4
        if one.is_number:
            assert all(choice.split()[0] in text for choice in one.choices)
        else:
            assert all(re.search(re.escape(choice).replace("____", ".+"), text) for choice in one.choices)
            assert not re.search(rf"\b{one.term}\b", " ".join(one.choices), re.IGNORECASE)


def test_a_question_that_asks_for_a_term_cannot_tell_it() -> None:
    told = "Ice and snow can turn into vapour without melting first. That is called sublimation."
    pattern = grammars.asking_for(told, "sublimation")
    assert re.search(pattern, "What is it called when ice and snow can turn into vapour without melting?")
    assert not re.search(pattern, "What is sublimation?")
    assert not re.search(pattern, "What is it called when water boils?")


def test_numbers_are_asked_for_with_their_unit() -> None:
    pattern = grammars.asking_for("Water stays in the air for about 9 days before it falls again.", "9 days")
    assert re.search(pattern, "How many days does water stay in the air?")
    assert not re.search(pattern, "How many litres does water stay in the air?")


def test_feedback_has_the_answer_and_begins_with_the_verdict() -> None:
    told = "Water stays in the air for about 9 days before it falls again."
    right, wrong = grammars.feedback(told, "9 days", True), grammars.feedback(told, "9 days", False)
    said = "water stays in the air for about 9 days before it falls again."
    assert re.search(right, f"Yes, {said}") and not re.search(right, f"Almost, {said}")
    assert re.search(wrong, f"Remember that {said}") and not re.search(wrong, f"Yes, {said}")
    assert not re.search(right, "Yes, water stays in the air.")


def test_answers_are_of_the_words_of_the_passage() -> None:
    pattern = grammars.answer(["Bees carry nectar home from flowers, and they rest at night."])
    assert re.search(pattern, "According to the text, bees carry nectar home from flowers.")
    assert not re.search(pattern, "Bees carry nectar home from Mars.")


def test_larger_models_are_held_to_the_form_alone() -> None:
    assert re.search(grammars.answer([], tight=False), "Nectar becomes honey, which bees eat in winter.")
    assert re.search(grammars.about("", "wax", tight=False), "Why do bees need so much wax?")
    assert not re.search(grammars.asking_for("", "wax", tight=False), "Tell me.")
