"""The OpenVINO client: how a process is launched and prepared, and what it is told."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from addresses import unix
from antiphon.engines import kinds, openvino
from antiphon.engines.openvino import ENGINE, OpenvinoEngine
from antiphon.errors import ConfigurationError, UnsupportedParameter
from antiphon.settings import Settings
from antiphon.values import Form, Prompt
from antiphon.workers.chat.pipeline import _STEP_TOKENS
from chat_engines import answer, deployment, job, running


def engine(folder: Path) -> OpenvinoEngine:
    return OpenvinoEngine(deployment("openvino", folder / "m.gguf", folder), folder / "s.sock")


def test_it_is_found() -> None:
    assert kinds()["openvino"] is ENGINE


def test_how_it_is_launched(tmp_path: Path) -> None:
    served = deployment("openvino", tmp_path / "m.gguf", tmp_path / "made", context=1024, slots=2)
    argv = ENGINE.command([served], Settings(threads=3), unix(tmp_path / "s"))
    assert argv[:3] == [sys.executable, "-m", "antiphon.workers.chat"]
    assert dict(zip(argv[3::2], argv[4::2], strict=True)) == {
        "--listen": f"unix:{tmp_path}/s",
        "--model": str(tmp_path / "made"),
        "--context": "1024",
        "--slots": "2",
        "--cache-tokens": "2048",
        "--threads": "3",
    }


def test_a_model_that_is_not_prepared_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not prepared"):
        ENGINE.command([deployment("openvino", tmp_path, None)], Settings(), unix(tmp_path / "s"))


def test_how_a_model_is_prepared(tmp_path: Path) -> None:
    assert ENGINE.preparation is not None
    argv = ENGINE.preparation(tmp_path / "m.gguf", tmp_path / "made")
    assert argv[:3] == [sys.executable, "-m", "antiphon.workers.chat.prepare"]
    assert argv[3:] == ["--model", str(tmp_path / "m.gguf"), "--out", str(tmp_path / "made")]


@pytest.mark.requirement("R19")
def test_what_the_process_is_told(tmp_path: Path) -> None:
    asked = job(organization="org_1", seed=2**32, stop=("END",), form=Form("root ::= x", trigger="x"))
    body = engine(tmp_path).body(asked, Prompt("", (1, 2)), 1)
    assert body["partition"] == "", "an answer with a seed is not computed with what was kept"
    assert engine(tmp_path).body(job(organization="org_1"), Prompt("", (1,)), 0)["partition"] == "org_1"
    assert body["prompt"] == (1, 2) and body["stop"] == ["END"]
    assert body["seed"] == 2 and body["n_predict"] == 20
    assert body["grammar_triggers"] == [{"type": 1, "value": "x"}]
    assert "seed" not in engine(tmp_path).body(job(), Prompt("", (1,)), 0)


@pytest.mark.parametrize("given", [{"logit_bias": {1: 1.0}}, {"logprobs": True}])
def test_what_it_does_not_do_is_refused(tmp_path: Path, given: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedParameter) as refusal:
        engine(tmp_path).body(job(**given), Prompt("", (1,)), 0)
    assert refusal.value.param in given


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ("avx avx2 avx512f", ""),
        ("avx2", ""),
        ("avx asimd", "is only known to be faster with AVX2"),
    ],
)
def test_which_processors_suit_it(tmp_path: Path, flags: str, reason: str) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags : fpu {flags} sse\n")
    assert openvino._unsuited(Settings(), cpuinfo) == reason
    assert "Linux" in openvino._unsuited(Settings(), tmp_path / "none")


async def test_more_answers_at_once_than_a_step_has_tokens_all_come(
    smollm2: Path, prepared_smollm2: Path
) -> None:
    served = deployment("openvino", smollm2, prepared_smollm2, slots=32)
    requests, choices = _STEP_TOKENS // 8 + 2, 8
    async with running(ENGINE, served) as (client, _), asyncio.timeout(120):
        asked = [job(f"Say {number}.", n=choices, max_tokens=4) for number in range(requests)]
        answers = await asyncio.gather(*(answer(client, one) for one in asked))
    for deltas, usage in answers:
        assert {delta.index for delta in deltas if delta.finish_reason} == set(range(choices))
        assert choices <= usage.completion_tokens <= 4 * choices
