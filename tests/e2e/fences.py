"""The examples of the documentation: which there are, and how those of a page are run.

An example is a fenced block whose fence says so, ```bash example or ```python example; a third word names
the folder of `clients/` that runs it, ```python example openai-0.27.10. What is shown but cannot be run says
why: ```bash fragment needs two machines. The examples of a page share one Python and one shell, in the order
in which they stand there, in a folder of their own that holds a recording, `talk.flac`, and the repository's
`tests`.

The text is changed in two places only: the address 127.0.0.1:8000 becomes the server's, and a key such as
sk-… becomes its key.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Server
from drivers import ROOT, installed

RECORDING = ROOT / "tests" / "data" / "en_whisper_jfk.flac"
FENCE = re.compile(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)
TODAY = "openai-3"
SECONDS = 300.0
"""That all examples of a page may take."""
MARK = "\x1e"
RUNNER = f"""
import json, os, subprocess, sys

names = {{"__name__": "__main__"}}
for line in sys.stdin:
    step = json.loads(line)
    print({MARK!r} + step["place"], flush=True)
    if step["language"] == "python":
        exec(compile(step["text"], step["place"], "exec"), names)
    else:
        keeping = 'test ! -e .exports || . ./.exports; trap "export -p > .exports" EXIT\\n'
        subprocess.run(["bash", "-euo", "pipefail", "-c", keeping + step["text"]], check=True)
    sys.stdout.flush()
"""


@dataclass(frozen=True)
class Fence:
    """A block of code: where it stands, as page:line, the words behind the fence, the code."""

    place: str
    words: Sequence[str]
    text: str

    @property
    def language(self) -> str:
        return self.words[0] if self.words else ""

    @property
    def runs(self) -> bool:
        return self.words[1:2] == ["example"]

    @property
    def client(self) -> str:
        return self.words[2] if len(self.words) > 2 else TODAY


def pages() -> list[Path]:
    """Every page that may hold examples, the README first."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def fences(page: Path) -> Iterator[Fence]:
    text = page.read_text()
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        place = f"{page.relative_to(ROOT)}:{line}"
        yield Fence(place, found[2].split(), found[3])


def run(
    examples: Sequence[Fence], server: Server, folder: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """What each example printed, by its place. Raises `AssertionError`, with all of it, if one fails."""
    if not (folder / "talk.flac").exists():
        shutil.copy(RECORDING, folder / "talk.flac")
        (folder / "tests").symlink_to(ROOT / "tests")
    printed: dict[str, str] = {}
    for client in dict.fromkeys(example.client for example in examples):
        steps = [
            json.dumps(
                {
                    "place": one.place,
                    "language": one.language,
                    "text": _of(server, one.text, environment),
                }
            )
            for one in examples
            if one.client == client
        ]
        done = subprocess.run(
            [*installed(client), "-c", RUNNER],
            input="\n".join(steps),
            cwd=folder,
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for part in done.stdout.split(MARK)[1:]:
            place, _, output = part.partition("\n")
            printed[place] = output
    return printed


def _of(server: Server, text: str, environment: Mapping[str, str]) -> str:
    text = text.replace("http://127.0.0.1:8000", server.root)
    return re.sub(r"sk-(?:…|\.\.\.)", environment["OPENAI_API_KEY"], text)
