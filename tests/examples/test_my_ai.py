"""What code decides in examples/my_ai: what is remembered, when an answer ends, and what a haiku is."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "my_ai"))
companion = importlib.import_module("companion")
haiku = importlib.import_module("haiku")
memory = importlib.import_module("memory")


def turns(*contents: str) -> list[dict[str, str]]:
    return [{"role": "assistant" if n % 2 else "user", "content": text} for n, text in enumerate(contents)]


def test_the_last_turns_that_fit_are_sent_and_an_answer_never_without_its_question() -> None:
    said = turns("a" * 40, "b" * 40, "c" * 40, "d" * 40)
    assert memory.recent(said, tokens=40) == 4
    assert memory.recent(said, tokens=39) == 2
    assert memory.recent(said, tokens=10) == 0
    assert memory.recent([], tokens=10) == 0


@pytest.mark.parametrize(
    ("sentence", "so"),
    [("I have a cat.", True), ("My name is Ada", True), ("Do I snore?", False), ("Cats are nice.", False)],
)
def test_what_a_sentence_tells_about_who_says_it(sentence: str, so: bool) -> None:
    assert memory.tells(sentence) is so


def test_a_question_is_reminded_of_what_it_shares_words_with() -> None:
    known = ["My cat is called Miso.", "I am a nurse.", "I live in Lisbon."]
    assert memory.reminders("What do my cats eat?", known) == known[:1]
    assert memory.reminders("Where do I live?", known) == known[2:]
    assert memory.reminders("What is my job?", known) == known[::-1]
    assert memory.reminders("What is my job?", []) == []


def test_what_is_a_question_about_the_user() -> None:
    assert memory.asks("What is my cat called?") and memory.asks("Where do I live?")
    assert not memory.asks("How do I boil an egg?") and not memory.asks("How can I sleep better?")
    assert not memory.asks("My cat is called Miso.")


def test_what_the_user_said_is_turned_to_them() -> None:
    assert companion.addressed("I am a nurse. my cat likes me!") == "You are a nurse. Your cat likes you!"


def test_of_drafts_the_one_fits_that_says_what_is_remembered_of_the_user() -> None:
    drafts = ["I live in Lisbon.", "You live in Rome.", "You live in Lisbon.", "Lisbon, and your dog is Rex."]
    found, text = ["My name is Ada and I live in Lisbon."], "Which city do I live in?"
    assert max(drafts, key=lambda draft: companion.fit(draft, found, text)) == "You live in Lisbon."


def test_the_prompt_has_notes_that_match_an_example_and_the_last_turns() -> None:
    persona = companion.Persona("Robin", "You are Robin.", 2, ("Hello", "Good day!"))
    before = companion.Conversation(["I love the sea.", "I am a nurse."], turns("Why?", "Because."))
    asked = companion.Companion(None, "a-model", 200).prompt(persona, before, "Tell me about the sea.")
    assert [one["role"] for one in asked] == ["system", *["user", "assistant"] * 2, "user"]
    assert asked[0]["content"] == 'You are Robin. The user once said: "I love the sea."'
    assert [one["content"] for one in asked[1:]] == [
        "Hello",
        "Good day!",
        "Why?",
        "Because.",
        "Tell me about the sea.",
    ]


@pytest.mark.parametrize(
    ("note", "so"),
    [
        ("My sister Clara lives in Oslo.", True),
        ("My sister Clara lives there.", False),
        ("My sister lives in Oslo.", False),
        ("My sister Clara lives in Oslo and sings.", False),
        ("", False),
    ],
)
def test_a_note_keeps_names_and_makes_nothing_up(note: str, so: bool) -> None:
    assert memory.faithful(note, "Well, my sister Clara lives in Oslo!") is so


def test_forms_of_a_word_are_alike() -> None:
    assert memory.stems("The brother's dog lives there") == memory.stems("my brothers' dogs live")


def test_an_answer_ends_after_its_sentences_once_something_follows() -> None:
    assert companion.ended("One. Two!", 2) is None
    assert companion.ended("One. Two! Three", 2) == len("One. Two!")
    assert companion.ended("It costs 2.50 today. Fine", 1) == len("It costs 2.50 today.")


@pytest.mark.parametrize(
    ("message", "topic"),
    [
        ("Write a haiku about the rain.", "the rain"),
        ("a HAIKU for my cat", "my cat"),
        ("Haiku!", "today"),
        ("Tell me about rain", None),
    ],
)
def test_when_a_haiku_is_asked_for(message: str, topic: str | None) -> None:
    assert haiku.wanted(message) == topic


@pytest.mark.parametrize(
    ("word", "number"),
    [("rain", 1), ("quiet", 1), ("morning", 2), ("the", 1), ("waves", 1), ("little", 2), ("wanted", 2),
     ("rained", 1), ("silence", 2), ("beautiful", 3)],
)  # fmt: skip
def test_syllables(word: str, number: int) -> None:
    assert haiku.syllables(word) == number


def test_a_haiku_is_judged_by_its_syllables_and_lines() -> None:
    good = haiku.Haiku(("Boats lie on the shore", "The tide comes in with the moon", "I walk home alone"))
    assert (good.syllables, good.away) == ([5, 7, 5], 0)
    twice = haiku.Haiku((good.lines[0], good.lines[1], good.lines[0] + "."))
    assert twice.away == 3
    assert haiku.Haiku((good.lines[0], "The tide comes with the", good.lines[2])).away == 2 + 3
    assert haiku.Haiku((good.lines[0], "Rain in thesilveryharbour", good.lines[2])).flaws == 1
    assert haiku.Haiku((haiku.SHOWN[0][1][0],)).flaws == 1


def test_a_draft_goes_on_from_the_lines_that_are_chosen() -> None:
    assert haiku.read('{"first": "Rain falls on the', ()) is None
    found = haiku.read('{"first": "A b c", "second": "D e f"}', ("A b c",))
    assert found is not None and found.lines == ("A b c", "D e f")
    schema = haiku.form(found.lines)["json_schema"]["schema"]
    assert schema["properties"]["second"]["enum"] == ["D e f"]
    assert schema["required"] == ["first", "second", "third"]


def test_the_poems_that_are_shown_have_the_form_that_is_asked_for() -> None:
    for _, lines in haiku.SHOWN:
        assert all(re.search(form, line) for form, line in zip(haiku.LINES, lines, strict=True))
    for before, after in memory.SHOWN:
        assert memory.faithful(after, before)
