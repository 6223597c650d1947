from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from antiphon.console.documentation import outline
from antiphon.console.documentation.outline import Outline, resolved

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def whole() -> Outline:
    return outline.read(outline.root())


def test_the_index_says_what_there_is_and_in_which_order(tmp_path: Path) -> None:
    (tmp_path / "docs/images").mkdir(parents=True)
    (tmp_path / "docs/images/one.png").write_bytes(b"")
    (tmp_path / "docs/README.md").write_text(
        "# All\n\n| [Not yet](no.md) | in no group |\n\n## First\n\nWords.\n\n| Page | Tells |\n|---|---|\n"
        "| [One](one.md) | the beginning |\n| [Two](../TWO.md) | more |\n\n## Empty\n\n## Last\n\n"
        "1. [Why](why/0001-so.md)\n"
    )
    found = outline.read(tmp_path)
    assert [(group.title, [page.name for page in group.pages]) for group in found.groups] == [
        ("First", ["one", "repository/TWO"]),
        ("Last", ["why/0001-so"]),
    ]
    assert [page.tells for page in found.groups[0].pages] == ["the beginning", "more"]
    home, one, two, why = found.pages
    assert (home.file, two.file) == ("docs/README.md", "TWO.md")
    assert found.beside(home) == (None, one) and found.beside(why) == (two, None)
    assert found.group_of(home) is None and found.group_of(why) is found.groups[1]
    assert found.assets() == ["docs/images/one.png"]


def test_every_page_is_there_under_a_name_of_its_own(whole: Outline) -> None:
    assert [page.file for page in whole.pages if not (ROOT / page.file).is_file()] == []
    names = [page.name for page in whole.pages]
    assert len(set(names)) == len(names) > 60
    assert "api" not in names, "the reference has that address"
    wanted = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert wanted - whole.by_file.keys() == set()


def test_the_wheel_holds_every_page(whole: Outline) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    put = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    place = "antiphon/console/documentation/texts/"
    assert {source: place + source for source in put} == put
    missing = [page.file for page in whole.pages if page.file not in put and page.file[:5] != "docs/"]
    assert "docs" in put and missing == []


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ("b.md", "docs/b.md"),
        ("../C.md", "C.md"),
        ("decisions/1.md", "docs/decisions/1.md"),
        ("../../../etc/passwd", "etc/passwd"),
    ],
)
def test_links_are_paths_below_the_root(link: str, leads: str) -> None:
    assert resolved("docs/a.md", link) == leads
