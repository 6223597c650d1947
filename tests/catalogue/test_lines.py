"""Where something is said."""

from __future__ import annotations

import pytest

from antiphon.catalogue.lines import line_of

TEXT = """# head
top = 1

[a."b.c"]  # a table
one = 1
two = [
    1,
    # in between
    2,
]
# before three
three = { x = 1, y = 2 }

[[a.list]]
name = "first"

[[a.list]]
name = "second"
text = '''
[not.a.table]
'''
last.deep = 1
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("a", "b.c"), 4),
        (("a", "b.c", "one"), 5),
        (("a", "b.c", "two"), 6),
        (("a", "b.c", "two", 1), 6),
        (("a", "b.c", "three", "y"), 12),
        (("a", "list", 0, "name"), 15),
        (("a", "list", 1), 17),
        (("a", "list", 1, "name"), 18),
        (("a", "list", 1, "text"), 19),
        (("a", "list", 1, "last", "deep"), 22),
        (("a", "b.c", "none"), 4),
        (("none",), None),
    ],
)
def test_the_line_on_which_a_value_begins(path: tuple[str | int, ...], line: int | None) -> None:
    assert line_of(TEXT, path) == line
