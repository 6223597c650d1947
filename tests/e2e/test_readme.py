"""Every example of the README runs as it stands there, against a running server.

An example is a fenced block whose fence says so, ```bash example or ```python example; a third word names the
folder of `clients/` that runs it, ```python example openai-0.27.10. The text is changed in two places only:
the address 127.0.0.1:8000 becomes the server's, and a key such as sk-… becomes its key.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

import pytest
from benchmarks.processes import Server
from drivers import ROOT, environment, installed

FENCE = re.compile(r"^```(bash|python) example ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 120


@dataclass(frozen=True)
class Example:
    language: str
    client: str
    text: str

    def command(self, server: Server) -> list[str]:
        text = self.text.replace("http://127.0.0.1:8000", server.root)
        text = re.sub(r"sk-(?:…|\.\.\.|[\w-]+)", server.key, text)
        if self.language == "bash":
            return ["bash", "-euo", "pipefail", "-c", text]
        return [*installed(self.client or "openai-3"), "-c", text]


EXAMPLES = [Example(*found) for found in FENCE.findall((ROOT / "README.md").read_text())]


def test_the_readme_has_examples() -> None:
    assert {example.language for example in EXAMPLES} == {"bash", "python"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.text.splitlines()[0][:40])
def test_example(server: Server, example: Example) -> None:
    done = subprocess.run(
        example.command(server),
        cwd=ROOT,
        env=environment(server),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip(), "an example shows something"
    # curl succeeds on a refusal too: the envelope shows it.
    assert '"error": {' not in done.stdout and '"error":{' not in done.stdout, done.stdout
