from __future__ import annotations

import time
from pathlib import Path

import pytest

from antiphon.errors import ConfigurationError
from antiphon.moderation.rules import FILE_NAME, MOST_BYTES, Rules, load, read
from antiphon.wire.moderations import CATEGORIES

OWN = """
[[rule]]
name = "house"
category = "harassment"
score = 0.7
words = ["Blödmann", "dumb-bell"]

[[rule]]
name = "both"
category = "illicit"
patterns = ['''\\bbuy\\b''']
all_of = ['''\\bcontraband\\b''']
"""


def own(home: Path, text: str) -> Rules:
    (home / FILE_NAME).write_text(text)
    return load(home)


def test_the_shipped_rules_find_what_is_said_in_so_many_words(tmp_path: Path) -> None:
    found = load(tmp_path).find("I want to\n\tKILL   myself, how do I make a pipe bomb?")
    assert found == {
        "self-harm/intent": 0.95, "self-harm": 0.95, "illicit/violent": 0.9, "illicit": 0.9
    }  # fmt: skip
    assert load(tmp_path).find("How do I kill a process? The bomb squad sent a pipe.") == {}
    assert load(tmp_path).categories < set(CATEGORIES)


def test_an_operators_rules_are_added(tmp_path: Path) -> None:
    rules = own(tmp_path, OWN)
    assert rules.find("du BLÖDMANN!") == {"harassment": 0.7}
    assert rules.find("dumb-bell") == {"harassment": 0.7}
    assert rules.find("dumb-bells") == {}
    assert rules.find("I want to kill myself")["self-harm"] == 0.95
    assert rules.version != load(tmp_path / "elsewhere").version


def test_every_condition_of_a_rule_must_be_met(tmp_path: Path) -> None:
    rules = own(tmp_path, OWN)
    assert rules.find("buy bread") == rules.find("contraband") == {}
    assert rules.find("contraband: where to buy it") == {"illicit": 0.9}


def test_the_shipped_rules_can_be_left_out(tmp_path: Path) -> None:
    rules = own(tmp_path, f"shipped = false\n{OWN}")
    assert rules.categories == {"harassment", "illicit"}
    assert rules.find("I want to kill myself") == {}
    assert own(tmp_path, "shipped = false").find("anything") == {}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('[[rule]]\nname = "a"\ncategory = "rude"\nwords = ["x"]', 1, "no category 'rude'"),
        ('\n\n[[rule]]\nname = "a"\ncategory = "hate"', 3, "neither words nor patterns"),
        ('[[rule]]\nname = "a"\ncategory = "hate"\nwords = ["x"]\n' * 2, 5, "another one of this name"),
        ('[[rule]]\nname = "a"\ncategory = "hate"\npatterns = ["(x"]', 1, "missing )"),
        ('[[rule]]\nname = "a"\ncategory = "hate"\npatterns = ["x*"]', 1, "matches everything"),
        ("[[rule]]\nname = 'a'\ncategory = 'hate'\npatterns = ['(a)\\1']", 1, "cannot be compiled"),
        ('[[rule]]\nname = "a"\ncategory = "hate"\nscore = 2', 1, "<= 1"),
        ('[[rule]]\nname = "a"\ncategory = "hate"\nword = ["x"]', 1, "unknown field"),
        ("[[rule]\n", 0, "line 1"),
        ("rules = 1", 0, "unknown field"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        own(tmp_path, text)
    assert says in told.value.message and FILE_NAME in told.value.message
    assert (f"line {line}: " in told.value.message) is (line > 0)


def test_a_file_that_is_too_long_or_no_text_is_refused(tmp_path: Path) -> None:
    for content in (b"#" * (MOST_BYTES + 1), b"\xff"):
        (tmp_path / FILE_NAME).write_bytes(content)
        with pytest.raises(ConfigurationError):
            read(tmp_path / FILE_NAME)


def test_no_pattern_can_hang_it(tmp_path: Path) -> None:
    """What takes other engines longer than the universe lasts, twice over a hundred thousand letters."""
    text = '[[rule]]\nname = "a"\ncategory = "hate"\npatterns = ["(a+)+$", "(a|aa)+b"]\n'
    rules, began = own(tmp_path, text), time.monotonic()
    assert rules.find("a" * 100_000 + "!") == {}
    assert time.monotonic() - began < 5
