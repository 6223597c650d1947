"""People at the console of a real server, each with a browser of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.processes import Server

from browser import Browser, Visitor, visiting

PASSWORD = "correct horse battery"
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
