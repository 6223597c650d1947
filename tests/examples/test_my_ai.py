"""What code decides in examples/my_ai: what is remembered, when an answer ends, and what a haiku is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from examples.my_ai import companion, haiku, memory
from examples.my_ai.memory import Exchange
from openai import AsyncOpenAI


def said(*texts: str) -> list[Exchange]:
    return [Exchange(text, "I see.") for text in texts]


@pytest.mark.parametrize(
    ("sentence", "so"),
    [("I have a cat.", True), ("My name is Ada", True), ("Do I snore?", False), ("Cats are nice.", False)],
)
def test_what_a_sentence_tells_about_who_says_it(sentence: str, so: bool) -> None:
    assert memory.told(said(f"Well! {sentence}")) == ([sentence] if so else [])


def test_a_message_is_reminded_of_what_it_shares_words_with() -> None:
    known = said("My cat is called Miso. I am a nurse.", "I live in Lisbon.", "Cats are nice.")
    assert memory.reminders("What do my cats eat?", known) == ["My cat is called Miso."]
    assert memory.reminders("Where do I live?", known) == ["I live in Lisbon."]
    assert memory.reminders("Do cats dream?", known) == ["My cat is called Miso."]


def test_a_question_about_the_user_is_reminded_of_the_newest_if_of_nothing_else() -> None:
    known = said("My cat is called Miso.", "I am a nurse.", "I live in Lisbon.", "I like tea. I like tea.")
    assert memory.reminders("What is my job?", known) == ["I like tea.", "I live in Lisbon.", "I am a nurse."]
    assert memory.reminders("How do birds fly?", known) == []
    assert memory.reminders("What is my job?", []) == []


def test_what_is_a_question_about_the_user() -> None:
    assert memory.asks("What is my cat called?") and memory.asks("Where do I live?")
    assert not memory.asks("How do I boil an egg?") and not memory.asks("How can I sleep better?")
    assert not memory.asks("My cat is called Miso.")


def test_what_the_user_said_is_turned_to_them() -> None:
    assert memory.addressed("I am a nurse. my cat likes me!") == "You are a nurse. Your cat likes you!"


def asked(text: str, *before: Exchange) -> list[object]:
    """Each message that the model gets, as it has it."""
    someone = companion.Companion(AsyncOpenAI(api_key="-"), "a-model", 1)
    turn = companion.Turn(text, "Robin", [Exchange("Hello", "Good day!")], before)
    messages = someone.prompt(turn, memory.reminders(text, before))
    assert [one["role"] for one in messages][:-1] == [
        "system",
        *["user", "assistant"] * (len(messages) // 2 - 1),
    ]
    assert messages[-1]["role"] == "user"
    return [one.get("content") for one in messages]


def test_the_prompt_has_an_example_the_last_exchanges_and_what_matches() -> None:
    before = (
        Exchange("I love the sea.", "It is far away from here, and deep."),
        Exchange("Why?", "Because."),
    )
    assert asked("Tell me about the sea.", *before) == [
        "You are Robin. Answer in one or two short sentences.",
        "Hello",
        "Good day!",
        "Why?",
        "Because.",
        "You love the sea.\n\nTell me about the sea.",
    ]


def test_a_question_about_the_user_is_asked_with_what_is_remembered_alone() -> None:
    system, *examples, last = asked("What do I love?", Exchange("I love the sea.", "I love it too."))
    assert system == "You are Robin. Answer in one or two short sentences."
    assert examples == [text for exchange in companion.RECALLED for text in exchange]
    assert last == "You love the sea.\n\nWhat do I love?"


def test_forms_of_a_word_are_alike() -> None:
    assert memory.stems("The brother's dog lives there") == memory.stems("my brothers' dogs live")


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
    ("line", "number"),
    [("rain", 1), ("quiet", 1), ("morning", 2), ("the", 1), ("waves", 1), ("little", 2), ("wanted", 2),
     ("rained", 1), ("silence", 2), ("beautiful", 3), ("The tide comes in with the moon.", 7)],
)  # fmt: skip
def test_syllables(line: str, number: int) -> None:
    assert haiku.syllables(line) == number


@pytest.mark.parametrize(
    ("line", "so"),
    [
        ("I walk home alone", False),
        ("Boats lie on the shore.", True),
        ("The tide comes with the", True),
        ("Rain in thesilveryharbour", True),
        ("Salt wind in my hair", True),
        ("", True),
    ],
)
def test_a_line_breaks_off_comes_twice_is_no_words_or_an_example(line: str, so: bool) -> None:
    assert haiku.flawed(line, ["Boats lie on the shore"]) is so


def test_of_drafts_the_one_is_taken_with_the_right_syllables_that_names_the_topic() -> None:
    drafts = ["The sea", "Boats lie on the", "The tide comes in now", "The sea is so wide", "The sea is wide"]
    assert min(drafts, key=lambda line: haiku.demerits(line, [], "the sea")) == "The sea is so wide"
    assert haiku.demerits("The tide comes in now", ["The sea is so wide"], "the sea") == (False, 2, False)


def test_a_draft_goes_on_from_the_lines_that_are_chosen() -> None:
    schema: Any = haiku.following(("A b c", "D e f"))["json_schema"]["schema"]
    assert schema["properties"]["second"]["enum"] == ["D e f"]
    assert schema["required"] == ["first", "second", "third"]


def test_the_poems_that_are_shown_have_the_form_that_is_asked_for() -> None:
    for lines in haiku.SHOWN.values():
        assert all(re.search(form, line) for form, line in zip(haiku.LINES, lines, strict=True))
        assert tuple(map(haiku.syllables, lines)) == haiku.METRE


def test_of_drafts_the_one_that_says_what_was_told_of_the_user_fits_best() -> None:
    told, asked = ["I work as a nurse and I play the cello."], "Which instrument do I play?"
    drafts = ["You play the cello.", "I play the cello.", "You play well.", "I play well.", ""]
    assert [companion.fit(told, asked, draft) for draft in drafts] == [3, 2, 1, 0, 0]


@pytest.mark.parametrize(
    ("answer", "so"),
    [
        ("I like the sea. It is deep.", True),
        ("I like the sea. How nice!", False),
        ("how nice", False),
        ("No, no. No, no!", False),
        ("How nice that is!", True),
        ("", False),
    ],
)
def test_what_an_answer_repeats(answer: str, so: bool) -> None:
    assert companion.is_new(["How nice! You live in Oslo.", "I see."], answer) is so
