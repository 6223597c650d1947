"""What the applications of the examples have in common, as far as code decides it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from examples.kit.chat import dialogue, first, form


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("Hello! How are you?", "Hello! How are you?"),
        ("Hello! How are you? I", "Hello! How are you?"),
        ("It costs 2.50 today. Fine… And", "It costs 2.50 today. Fine…"),
        ('"Why?" she said. "Go." He', '"Why?" she said.'),
        ("", ""),
    ],
)
def test_a_text_is_ended_once_something_follows_its_sentences(text: str, begins: str) -> None:
    assert first(2, text) == begins


def test_the_user_and_the_model_speak_in_turn() -> None:
    messages = dialogue("You are Sam.", "Hello", "Good day!", "How are you?")
    assert [(one["role"], one.get("content")) for one in messages] == [
        ("system", "You are Sam."),
        ("user", "Hello"),
        ("assistant", "Good day!"),
        ("user", "How are you?"),
    ]


def test_an_object_has_the_fields_of_its_form_and_no_others() -> None:
    fields = {"shelf": {"type": "string", "enum": ["tents", "boots"]}}
    schema = form(fields)["json_schema"].get("schema", {})
    assert schema["properties"] == fields and schema["required"] == ["shelf"]
    assert schema["additionalProperties"] is False


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["ask_food", "my_ai", "q_chat", "shop", "speak"])
def test_without_a_key_an_application_says_what_to_set(name: str) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    command = [sys.executable, "-m", f"examples.{name}"]
    ended = subprocess.run(command, env=bare, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 1
    assert "Set OPENAI_BASE_URL and OPENAI_API_KEY first" in ended.stderr
    assert "export OPENAI_BASE_URL" in ended.stderr
