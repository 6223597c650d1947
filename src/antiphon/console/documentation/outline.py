"""What the documentation consists of, in which order: read from its own index, `docs/README.md`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path, PurePosixPath

import msgspec

INDEX = "docs/README.md"
FOLDER = "docs"
RENAMED = {"docs/api.md": "http-api"}
"""Pages whose own name is that of something else: `/docs/api` is the reference."""
_GROUP = re.compile(r"## (.+)")
_PAGE = re.compile(r"\| \[(.+?)\]\((\S+?\.md)\) \| (.+?) \||\d+\. \[(.+?)\]\((\S+?\.md)\)$")


class Page(msgspec.Struct, frozen=True):
    """One page: its title in lists, its file below the root, the name in its address, what it tells."""

    title: str
    file: str
    name: str
    tells: str = ""


class Group(msgspec.Struct, frozen=True):
    title: str
    pages: Sequence[Page]


REFERENCE = Page("API reference", "", "api")
"""The page that is in no file, since it is made from the routes; it belongs to the group `Reference`."""


class Outline:
    """All pages by groups. `root` holds the index, and every page by its path."""

    def __init__(self, root: Path, groups: Sequence[Group]) -> None:
        self.root = root
        self.groups = groups
        self.home = Page("Documentation", INDEX, "")
        self.pages: Sequence[Page] = [self.home, *(page for group in groups for page in group.pages)]
        self.by_file = {page.file: page for page in self.pages}

    def text(self, page: Page) -> str:
        return (self.root / page.file).read_text(encoding="utf-8")

    def group_of(self, page: Page) -> Group | None:
        """The group that a page is in; the index is in none."""
        if page is REFERENCE:
            return next((group for group in self.groups if group.title == "Reference"), None)
        return next((group for group in self.groups if page in group.pages), None)

    def beside(self, page: Page) -> tuple[Page | None, Page | None]:
        """The pages before and after it."""
        at = self.pages.index(page)
        return (
            self.pages[at - 1] if at else None,
            self.pages[at + 1] if at + 1 < len(self.pages) else None,
        )

    def assets(self) -> list[str]:
        """Paths, below the root, of what pages show or hand out besides text: images, a dashboard."""
        found = (self.root / FOLDER).rglob("*")
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in found
            if path.suffix in (".png", ".svg", ".json") and path.is_file()
        )


def root() -> Path:
    """Where the pages are: within the package where it was built, else in the source tree around it."""
    packaged = Path(str(files("antiphon.console.documentation"))) / "texts"
    return packaged if packaged.is_dir() else Path(__file__).parents[4]


def read(root: Path) -> Outline:
    """The outline that the index draws: `##` begins a group, and rows and numbered lines name its pages."""
    groups: list[tuple[str, list[Page]]] = []
    for line in (root / INDEX).read_text(encoding="utf-8").splitlines():
        if found := _GROUP.fullmatch(line):
            groups.append((found[1], []))
        elif groups and (found := _PAGE.match(line)):
            title, link, tells = found[1] or found[4], found[2] or found[5], found[3] or ""
            file = resolved(INDEX, link)
            groups[-1][1].append(Page(title, file, _name(file), tells))
    return Outline(root, [Group(title, pages) for title, pages in groups if pages])


def resolved(file: str, link: str) -> str:
    """Where a relative link in a file leads, as a path below the root."""
    parts: list[str] = []
    for part in (PurePosixPath(file).parent / link).parts:
        if part == ".." and parts:
            parts.pop()
        elif part != "..":
            parts.append(part)
    return "/".join(parts)


def _name(file: str) -> str:
    bare = RENAMED.get(file, file.removesuffix(".md"))
    return bare.removeprefix(f"{FOLDER}/") if file.startswith(f"{FOLDER}/") else f"repository/{bare}"
