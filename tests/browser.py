"""A real browser for tests of pages: the system's Chromium, Debian's package, or Playwright's own download.

    python -m tests.browser

makes sure that there is one, and says which; nothing is skipped for want of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-ui-for-media-stream",
)  # fmt: skip
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
_RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}}


def installed() -> str | None:
    """The path of the system's Chromium, if it has one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def ensure() -> str:
    """What is there afterwards: the system's, else Debian's package where that may be, else Playwright's."""
    if path := installed():
        return path
    if shutil.which("apt-get") and os.geteuid() == 0:
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        wanted = ["chromium", "fonts-dejavu-core"]
        for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *wanted]):
            subprocess.run(["apt-get", *words], env=quiet, check=False)
        if path := installed():
            return path
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    return "Playwright's own"


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """A browser without a screen, for as long as the block runs."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=installed(), args=[*FLAGS, *flags])
        try:
            yield opened
        finally:
            opened.close()


class Visitor:
    """Somebody with a browser of their own: cookies, a page, and what the page complained about.

    `problems` are errors of scripts, and what the content security policy refused.
    """

    def __init__(self, browser: Browser, **options: Any) -> None:
        self.context: BrowserContext = browser.new_context(**({"viewport": DESK} | options))
        self.context.set_default_timeout(30_000)
        self.page: Page = self.context.new_page()
        self.problems: list[str] = []
        self.page.on("console", lambda said: said.type == "error" and self.problems.append(said.text))
        self.page.on("pageerror", lambda problem: self.problems.append(str(problem)))

    def close(self) -> None:
        self.context.close()


@contextmanager
def visiting(browser: Browser, **options: Any) -> Iterator[Visitor]:
    """A visitor for as long as the block runs; a page that complained fails the test."""
    visitor = Visitor(browser, **options)
    try:
        yield visitor
    finally:
        visitor.close()
    assert visitor.problems == [], visitor.problems


def findings(page: Page) -> list[str]:
    """What axe finds on the page that is serious or critical: rule, and where."""
    found = Axe().run(page, options=_RULES).response["violations"]
    return [
        f"{one['id']}: {node['target']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def require_sound(page: Page) -> None:
    """Nothing that is serious on a desk or on a phone, and nothing beside a phone's screen."""
    for size in (PHONE, DESK):
        page.set_viewport_size(size)
        assert findings(page) == [], page.url
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], page.url


def drop(page: Page, file: Path, onto: Locator) -> None:
    """Let go of a file over an element, as a hand with a mouse does: the browser itself is told of it."""
    box = onto.bounding_box()
    assert box is not None, "it is seen"
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "data": data, **place})
    session.detach()


if __name__ == "__main__":
    print(ensure())
