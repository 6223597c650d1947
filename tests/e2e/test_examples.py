"""Every example of the README and of the documentation runs as it stands there, against a running server."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from benchmarks.processes import Server
from drivers import BIN, ROOT, environment
from fences import SECONDS, fences, pages, run

EXAMPLES = {page: found for page in pages() if (found := [one for one in fences(page) if one.runs])}


@pytest.fixture(scope="module")
def shell(server: Server) -> dict[str, str]:
    """The environment of a terminal on the server's machine, whose owner has made an admin key."""
    here = {"ANTIPHON_HOME": str(server.home), "ANTIPHON_PORT": server.root.rpartition(":")[2]}
    variables = {**environment(server), **here}
    command = [str(BIN / "antiphon"), "keys", "create", "--admin", "--name", "examples"]
    made = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    found = re.search(r"sk-\w+", made.stdout)
    assert found
    return {**variables, "OPENAI_ADMIN_KEY": found[0]}


def test_there_are_examples() -> None:
    assert {one.language for found in EXAMPLES.values() for one in found} == {"bash", "python"}
    assert len(EXAMPLES) > 10


@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_of_a_page_run(
    server: Server, shell: dict[str, str], page: Path, tmp_path: Path
) -> None:
    printed = run(EXAMPLES[page], server, tmp_path, shell)
    assert printed.keys() == {one.place for one in EXAMPLES[page]}
    assert [place for place, output in printed.items() if not output.strip()] == []
    # curl succeeds on a refusal too: the envelope shows it.
    assert [place for place, output in printed.items() if re.search(r'"error": ?\{', output)] == []


def test_code_is_an_example_or_says_why_not() -> None:
    """```python fragment WHY is shown and not run; anything else in these languages is run."""
    shown = [one for page in pages() for one in fences(page) if one.language in ("python", "bash", "sh")]
    assert [
        one.place
        for one in shown
        if not one.runs and not (one.words[1:2] == ["fragment"] and len(one.words) > 3)
    ] == []
