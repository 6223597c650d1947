"""The site of the repository's own pages: whole, and without a link that leads nowhere."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import pytest

from antiphon.api.reference import contents
from antiphon.app.described import document
from antiphon.cli.docs import write_site
from antiphon.console.documentation import outline
from antiphon.console.documentation.addresses import Served
from antiphon.console.documentation.site import build, write
from antiphon.settings import Settings


class Links(HTMLParser):
    """What a page refers to, and the ids that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.links += [str(found[name]) for name in ("href", "src", "data-index") if found.get(name)]
        self.ids += [str(found["id"])] if "id" in found else []

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Links]:
    """The pages of the site as files, read again."""
    folder = tmp_path_factory.mktemp("site")
    write_site(folder)
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: Links(path.read_text() if path.suffix == ".html" else "") for name, path in files.items()}


def test_every_link_of_the_written_site_leads_somewhere(written: Mapping[str, Links]) -> None:
    followed = 0
    broken = []
    for name, page in written.items():
        for link in page.links:
            if re.match(r"https?:|mailto:", link):
                continue
            followed += 1
            path, _, heading = link.partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
            if target not in written or (heading and heading not in written[target].ids):
                broken.append(f"{name}: {link}")
    assert broken == [] and followed > 1000


def test_every_page_links_every_other(written: Mapping[str, Links]) -> None:
    pages = {name for name in written if name.endswith(".html")} - {"missing.html"}
    assert len(pages) > 60
    for name in pages:
        there = {
            posixpath.normpath(posixpath.join(posixpath.dirname(name), link)) for link in written[name].links
        }
        assert pages - there - {name} == set()


def test_no_id_is_there_twice(written: Mapping[str, Links]) -> None:
    assert {name for name, page in written.items() if len(set(page.ids)) < len(page.ids)} == set()


def test_no_mark_up_is_left_over(written: Mapping[str, Links]) -> None:
    """Outside code, which may show Markdown."""
    assert [name for name, page in written.items() if "](" in page.text and "```" not in page.text] == []


def test_pages_hold_no_script_or_style_of_their_own() -> None:
    reference = contents(document(Settings()))
    for name, content in build(outline.read(outline.root()), Served(), reference).items():
        if "." not in name.rpartition("/")[2]:
            html = content.decode()
            assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=\"", html), name
            assert 'href="/docs/api"' in html


def test_a_site_is_written_over_an_older_one(tmp_path: Path) -> None:
    write({"a/b.html": b"old", "c.css": b""}, tmp_path)
    write({"a/b.html": b"new"}, tmp_path)
    assert (tmp_path / "a/b.html").read_bytes() == b"new" and (tmp_path / "c.css").exists()
