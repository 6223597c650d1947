"""People at the console of a real server, each with a browser of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.processes import Server
from openai import OpenAI
from playwright.sync_api import Locator, Page

from browser import Browser, Visitor, visiting

PASSWORD = "correct horse battery"
_SOON = 30.0
"""Seconds in which what is noted in batches, beside the requests, is there to be seen."""
_NUMBERS = count(1)


def command(server: Server, *words: str) -> str:
    """What `antiphon` prints, as the operator on the server's machine."""
    antiphon = str(Path(sys.executable).with_name("antiphon"))
    line = [antiphon, *words, "--home", str(server.home)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


@contextmanager
def signed_in(
    browser: Browser, server: Server, role: str, *, operator: bool = False, **options: Any
) -> Iterator[Visitor]:
    """A new member of the default organization, who has opened a sign-in link and set a password.

    A page that complained, of its scripts or of its security policy, fails the test.
    """
    email = f"{role}{next(_NUMBERS)}@example.com"
    command(server, "orgs", "add-member", email, "--name", role.title(), "--role", role)
    if operator:
        command(server, "people", "operator", email)
    link = urlsplit(command(server, "people", "link", email))
    with visiting(browser, base_url=server.root, **options) as visitor:
        visitor.page.goto(f"{link.path}?{link.query}")
        visitor.page.get_by_label("Password").fill(PASSWORD)
        visitor.page.get_by_role("button", name="Set password").click()
        visitor.page.wait_for_url(f"{server.root}/")
        yield visitor


def asked(server: Server, words: str, key: str = "") -> str:
    """Ask the bundled model something, with the server's first key or another: the id of the request."""
    with OpenAI(base_url=server.url, api_key=key or server.key, max_retries=0) as client:
        answer = client.chat.completions.with_raw_response.create(
            model="gpt-3.5-turbo",
            messages=[{"role": "user", "content": words}],
            max_tokens=8,
            temperature=0,
        )
    return str(answer.headers["x-request-id"])


def open_until(page: Page, path: str, seen: Locator) -> None:
    """Open a page again and again until that is to be seen on it."""
    deadline = time.monotonic() + _SOON
    page.goto(path)
    while seen.count() == 0:
        assert time.monotonic() < deadline, f"not to be seen on {path}: {seen}"
        page.wait_for_timeout(500)
        page.goto(path)


def open_content(page: Page, request_id: str) -> None:
    """Open the page of a request, by its id, once what was asked is kept."""
    open_until(page, "/logs", page.locator(f"a[href='/logs/{request_id}']"))
    page.get_by_label("By id").fill(request_id)
    page.get_by_role("button", name="Open").click()
    page.wait_for_url(f"**/logs/{request_id}")
    open_until(page, f"/logs/{request_id}", page.get_by_role("region", name="Request"))
