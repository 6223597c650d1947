"""What Q-Chat decides without a model: reading, finding, choosing, grading; and its grammars."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from examples.q_chat import author
from examples.q_chat.material import Material, Passage, Term
from examples.q_chat.tutor import CHOOSE, EXPLAIN, FILL_IN, Turn, Tutor, grade

TEXTS = Path(author.__file__).parent / "page" / "texts"
SMALL = b"""# Bees

## The hive

Bees build cells of **wax**. A hive holds about 40000 bees in summer.

## Food

Bees carry **nectar** home from flowers. The food that they make of it for the winter is called **honey**.
"""


def text(name: str) -> Material:
    return Material(name, (TEXTS / name).read_bytes())


def test_markdown_becomes_sections_passages_and_terms() -> None:
    material = Material("bees.md", SMALL)
    assert material.title == "Bees"
    assert material.passages == [
        Passage("The hive", "Bees build cells of wax. A hive holds about 40000 bees in summer."),
        Passage(
            "Food",
            "Bees carry nectar home from flowers. "
            "The food that they make of it for the winter is called honey.",
        ),
    ]
    assert [(term.name, term.passage.section) for term in material.terms] == [
        ("wax", "The hive"),
        ("40000 bees", "The hive"),
        ("nectar", "Food"),
        ("honey", "Food"),
    ]


def test_marks_are_left_out_and_lists_are_read() -> None:
    content = (
        b"# A\n- See [the *sea*](x.html), `code` and ![a picture](p.png).\n- **One** of snake_case things.\n"
    )
    found = Material("a", content + SMALL).passages
    assert [one.text for one in found[:2]] == [
        "See the sea, code and a picture.",
        "One of snake_case things.",
    ]


def test_the_pdf_has_the_sections_of_the_text_that_it_was_made_from() -> None:
    written, printed = text("water-cycle.md"), text("water-cycle.pdf")
    assert printed.title == written.title
    sections = [list(dict.fromkeys(p.section for p in one.passages)) for one in (printed, written)]
    assert sections[0] == sections[1] and len(sections[0]) == 5
    assert " ".join(p.text for p in printed.passages) == " ".join(p.text for p in written.passages)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"%PDF-1.7 and then nothing", "damaged or locked"),
        ((TEXTS / "water-cycle.pdf").read_bytes()[:9000], "damaged or locked"),
        (b"\xff\xfe\x00", "neither a PDF nor text"),
        (b"", "too little text to ask about"),
        (b"Only a line.", "too little text to ask about"),
        (b"word " * 50_000, "too little text to ask about"),
    ],
)
def test_what_cannot_be_studied_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Material("x", content)


def test_passages_are_found_by_their_words() -> None:
    tides = text("tides.md")
    found = tides.find("How high does water rise in the Bay of Fundy?")
    assert found and "16 metres" in found[0].text and "16 metres" in found[1][0]
    assert tides.find("Who painted the Mona Lisa?") is None
    assert tides.find('what is "it"? OR -* NEAR(') is None


def turn(name: str, level: int) -> Turn:
    return Turn(next(term for term in Material("bees", SMALL).terms if term.name == name), level, [])


@pytest.mark.parametrize(
    ("term", "level", "said", "verdict"),
    [
        ("honey", FILL_IN, "Honey", "right"),
        ("honey", FILL_IN, "the hony", "right"),
        ("honey", FILL_IN, "wax", "wrong"),
        ("40000 bees", FILL_IN, "about 40,000", "right"),
        ("40000 bees", FILL_IN, "4000", "wrong"),
        ("wax", EXPLAIN, "Bees build cells of it in the hive", "right"),
        ("wax", EXPLAIN, "something with bees", "partly"),
        ("wax", EXPLAIN, "I do not know", "wrong"),
        ("wax", EXPLAIN, "wax wax wax", "wrong"),
    ],
)
def test_answers_are_graded(term: str, level: int, said: str, verdict: str) -> None:
    assert grade(turn(term, level), said) == verdict


def test_a_gap_leaves_nothing_of_the_term() -> None:
    assert turn("honey", FILL_IN).gapped == "The food that they make of it for the winter is called ____."
    wax = Term("wax", "Wax is wax, waxed.", Passage("", ""))
    assert Turn(wax, FILL_IN, []).gapped == "____ is ____, waxed."


def answered(tutor: Tutor, right: bool) -> Turn:
    asked = tutor.next()
    good = asked.term.passage.text if asked.level == EXPLAIN else asked.term.name
    asked.verdict = grade(asked, good if right else "nothing of it")
    return asked


def test_it_gets_harder_with_right_answers_and_easier_with_wrong_ones() -> None:
    tutor = Tutor(text("tides.md"))
    levels = []
    for right in (True, True, True, False, False, True):
        levels.append(tutor.level("What pulls the sea"))
        answered(tutor, right)
    assert levels == [CHOOSE, FILL_IN, EXPLAIN, EXPLAIN, FILL_IN, CHOOSE]


def test_what_is_not_known_is_next_and_all_can_be_known() -> None:
    tutor = Tutor(text("tides.md"))
    asked = [answered(tutor, True).term for _ in tutor.material.terms]
    assert asked == tutor.material.terms
    assert all(one["known"] == one["terms"] > 0 for one in tutor.progress())
    again = [answered(tutor, True).term for _ in tutor.material.terms]
    assert again == asked


def test_what_went_wrong_comes_back() -> None:
    tutor = Tutor(text("tides.md"))
    missed = answered(tutor, False).term
    later = [answered(tutor, True).term for _ in range(len(tutor.material.terms))]
    section = [term for term in tutor.material.terms if term.passage.section == missed.passage.section]
    assert later.index(missed) == len(section) - 1, "before the next section begins"


def test_choices_are_terms_of_the_material() -> None:
    tutor = Tutor(text("tides.md"))
    seen = [one for one in (answered(tutor, False) for _ in range(40)) if one.choices]
    names = {term.name for term in tutor.material.terms}
    assert len(seen) > 20
    for one in seen:
        assert len(one.choices) == len(set(one.choices)) == 4 and names >= set(one.choices)
        assert one.term.name in one.choices and not one.term.number
        assert one.term.name.lower() not in one.gapped.lower()


def spoken(words: str, pattern: str) -> bool:
    return re.search(pattern, words) is not None


def test_a_question_that_asks_for_a_term_cannot_tell_it() -> None:
    told = "Ice and snow can turn into vapour without melting first. That is called sublimation."
    pattern = author.asking(["What"], told.replace("sublimation", ""), 16)
    assert spoken("What is it called when ice and snow can turn into vapour without melting?", pattern)
    assert not spoken("What is sublimation?", pattern)
    assert not spoken("What is it called when water boils?", pattern)


def test_feedback_has_the_answer() -> None:
    told = "A droplet is about 0.02 millimetres wide, and so light that it floats."
    pattern = f"^Yes, {author.quoted(told, '0.02 millimetres')}\\.$"
    assert spoken("Yes, a droplet is about 0.02 millimetres wide.", pattern)
    assert spoken("Yes, a droplet is about 0.02 millimetres wide, and so light that it floats.", pattern)
    assert not spoken("Yes, a droplet is light.", pattern)
    late = f"^{author.quoted(told, 'floats')}\\.$"
    assert spoken(told, late) and not spoken("A droplet is about 0.02 millimetres wide.", late)


def test_a_question_about_a_term_names_it() -> None:
    pattern = author.asking(["Why"], "Bees build cells of wax.", 8, "wax")
    assert spoken("Why do bees build cells of wax?", pattern)
    assert not spoken("Why do bees build cells?", pattern)
    assert not spoken("Why do ants build cells of wax?", pattern)
