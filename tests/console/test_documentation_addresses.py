from __future__ import annotations

import pytest

from antiphon.console.documentation.addresses import Served, Written


@pytest.mark.parametrize(
    ("name", "on", "leads"),
    [
        ("", "", "index.html"),
        ("one", "", "one.html"),
        ("", "why/two", "../index.html"),
        ("one", "why/two", "../one.html"),
        ("why/two", "why/three", "two.html"),
        ("why/two", "a/b/c", "../../why/two.html"),
    ],
)
def test_written_links_are_relative(name: str, on: str, leads: str) -> None:
    assert Written().page(name, on) == leads


def test_written_files_keep_their_names() -> None:
    assert Written().file("images/a.png", "why/two") == "../images/a.png"
    assert Written().base("why/two") + Written().page("one", "") == "../one.html"
    assert Written().base("one") == ""


def test_served_links_are_the_same_on_every_page() -> None:
    served = Served()
    assert served.page("", "a/b") == "/docs" and served.page("one", "") == "/docs/one"
    assert served.file("images/a.png", "a") == "/docs/images/a.png" and served.base("a/b") == ""
