"""`antiphon models compare` on the bundled model: an alias and its snapshot are the same model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.processes import Server

QUESTIONS = ["Why is the sky blue?", "Name three colours.", "Write a line about the sea.", "What is 2 + 2?"]
NAMES = ("gpt-3.5-turbo", "smollm2-135m-instruct-2024-11-01")
SECONDS = 120


def test_an_alias_answers_as_its_snapshot_does(server: Server, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    lines = [{"messages": [{"role": "user", "content": question}]} for question in QUESTIONS]
    prompts.write_text("\n".join(map(json.dumps, lines)))
    # One at a time: what is computed together in one step may round differently, and change a word.
    options = ["--prompts", str(prompts), "--max-tokens", "24", "--concurrency", "1", "--json"]
    address = ["--base-url", server.url, "--home", str(server.home)]
    done = subprocess.run(
        [sys.executable, "-m", "antiphon", "models", "compare", *NAMES, *options, *address],
        env={**os.environ, "OPENAI_API_KEY": server.key},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["compared"], summary["identical_share"], summary["mean_similarity"]) == (4, 1.0, 1.0)
    for side in (summary["a"], summary["b"]):
        assert side["snapshot"] == NAMES[1] and side["median_answer_tokens"] > 0
        assert 0 < side["first_token_seconds"]["p50"] < side["seconds"]["p95"]
        assert float(side["cost"]) > 0 and side["tokens_per_second"] > 0
