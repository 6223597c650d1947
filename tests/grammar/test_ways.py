"""In how many ways a text may be divided among the parts of a pattern."""

from __future__ import annotations

import pytest

from antiphon.grammar.problems import InvalidSchema
from antiphon.grammar.regex import matching
from antiphon.grammar.ways import ways


@pytest.mark.parametrize(
    ("pattern", "most"),
    [
        ("^$", 0),
        ("^a$", 0),
        ("^[a-z]{0,500}$", 1),
        ("^[ab]x$", 1),
        ("^.?.?.?.?$", 4),
        ("^x[^e]?[^e]?[^e]?$", 3),
        ("^.{0,3}.{0,3}$", 4),
        (r"^(.|[a-x]|\w)$", 3),
        (r"^\w+(-\w+)*$", 1),
        (r"^\S+@\S+\.\S+$", 3),
        ("^(.?.?.?)*$", 1),
        ("^[a-zA-Z][a-zA-Z0-9_]{0,62}[a-zA-Z0-9]$", 2),
    ],
)
def test_ways(pattern: str, most: int) -> None:
    assert ways(matching(pattern)) == most


def test_what_divides_in_many_ways() -> None:
    """Each of these would take an engine seconds for every token."""
    for pattern in ("^(.{1,16}){1,16}$", "^x(.{1,3}){1,20}$", "^([a-z]+ ?){1,30}$", "^(.+a?){1,20}$"):
        assert ways(matching(pattern)) > 8


def test_what_is_too_large_to_tell() -> None:
    with pytest.raises(InvalidSchema, match="too large"):
        ways(matching("^(.{0,16}a?){0,16}$"))
