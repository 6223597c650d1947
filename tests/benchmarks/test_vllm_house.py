"""Antiphon with a model on vLLM, as it is measured; the program answers as vLLM does."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.chat.client import Target
from benchmarks.folders import write_words_of
from benchmarks.vllm import checks, house

from antiphon.catalogue.catalogue import load
from fake_vllm import program
from hugging_face import write_tiny


def test_it_serves_the_model_and_nothing_else(tmp_path: Path) -> None:
    home = tmp_path / "home"
    house.furnish(home, write_tiny(tmp_path / "tiny"), {"dtype": "float32", "enforce_eager": True})
    catalogue = load(home)
    assert catalogue.served == {house.MODEL} and catalogue.missing() == []
    entry = catalogue.resolve("gpt-3.5-turbo")
    assert (entry.engines, entry.slots, entry.context) == (("vllm",), house.SLOTS, house.CONTEXT)
    assert entry.vllm.dtype == "float32" and entry.vllm.enforce_eager
    assert not catalogue.entries["smollm2-135m-instruct-2024-11-01"].hears


def test_vllm_alone_is_told_the_same_but_for_where_it_listens(tmp_path: Path) -> None:
    words = house.serving(Path("/v/bin/vllm"), tmp_path, {"dtype": "bfloat16", "enforce_eager": True}, 8123)
    assert list(words[:3]) == ["/v/bin/vllm", "serve", str(tmp_path)] and "--uds" not in words
    assert words[words.index("--port") + 1] == "8123" and list(words[-2:]) == [
        "--dtype=bfloat16",
        "--enforce-eager",
    ]
    assert words[words.index("--max-num-seqs") + 1] == str(house.SLOTS)


def test_a_whole_antiphon_is_checked(tmp_path: Path, smollm2: Path) -> None:
    """With a program that keeps no prompts, holds to no form, and says five words."""
    folder, home = write_words_of(smollm2, tmp_path / "model"), tmp_path / "home"
    (folder / "model.safetensors").write_bytes(b"unread")
    house.furnish(home, folder, {"dtype": "bfloat16"})
    with house.through(home, program(tmp_path, token_delay=0.2), None) as server:
        target = Target(server.url, house.MODEL, server.key)

        async def check() -> None:
            kept = await checks.kept(target)
            assert kept.prompt > 300 and kept.first == kept.second == 0
            left = await checks.left(target, 3)
            assert left.clients == 3 and 0.2 < left.idle < 5 and 0.2 < left.after < 5
            forms = await checks.forms(target, 1)
            assert (forms.asked, forms.schemas, forms.calls) == (1, 0, 0)

        asyncio.run(check())


def test_what_is_of_a_form() -> None:
    right = '{"name": "Rome", "size": "large", "days": 3}'
    called = {"content": None, "tool_calls": [{"function": {"name": "visit", "arguments": right}}]}
    assert checks.fits({"content": right}) and checks.fits(called)
    for wrong in ("", "{", '{"name": "Rome"}', right.replace("3", "15")):
        assert not checks.fits({"content": wrong})
