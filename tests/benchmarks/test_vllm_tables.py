"""The tables of a run of the benchmarks on vLLM, and what pytest says of the contract."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import msgspec
import pytest
from benchmarks.chat.values import Agreement, Round, Row
from benchmarks.runs import newest
from benchmarks.vllm import tables
from benchmarks.vllm.contract import counted, wrapped
from benchmarks.vllm.values import ANTIPHON, BARE, KIND, Contract, Forms, Kept, Left, Results, Start
from rich.console import Console


def a_round(seconds: float) -> Round:
    return Round(
        seconds=seconds, prompt_tokens=200, completion_tokens=640,
        first_p50=0.5, first_p99=0.9, gap_p50=0.02, gap_p99=0.04,
    )  # fmt: skip


def a_run(written: str = "2026-11-27T10:00:00+00:00") -> Results:
    return Results(
        written=written,
        command="python -m benchmarks.vllm",
        machine={"processor": "A (R) Processor", "cores": 2, "system": "Linux x86_64"},
        versions={},
        vllm="0.32.0",
        options={"dtype": "bfloat16"},
        plan={"prompt": 200, "answer": 64, "rounds": 3},
        starts=[Start(side=s, seconds=t, compiled=t < 100) for s, t in ((ANTIPHON, 120.4), (BARE, 60.2))],
        rows=[
            Row(load="clients", clients=8, side=ANTIPHON, rounds=[a_round(s) for s in (9.0, 6.4, 5.0)]),
            Row(load="clients", clients=8, side=BARE, rounds=[a_round(s) for s in (9.0, 6.0, 5.0)]),
        ],
        agreement=Agreement(side=ANTIPHON, questions=20, same=19, shared=0.98),
        kept=Kept(prompt=600, first=0, second=512),
        left=Left(clients=32, idle=0.1, after=0.2),
        forms=Forms(asked=5, schemas=5, calls=4),
        contract=Contract(passed=21, skipped=1, failed=0, seconds=100.0),
    )


def test_tables() -> None:
    found = a_run()
    console = Console(width=200, record=True, file=io.StringIO())
    tables.show(console, found)
    assert "200 tokens in, at most 64 out" in console.export_text()
    clients = tables.block(found, "clients")
    assert "| Antiphon | 8 | 100.0 |  | 0.50 / 0.90 | 20 / 40 |" in clients
    assert "| vLLM alone | 8 | 106.7 | 0.94x | 0.50 / 0.90 | 20 / 40 |" in clients
    starts = tables.block(found, "starts")
    assert "| Antiphon, the first time | 120 |" in starts and "| vLLM alone, again | 60 |" in starts
    checks = tables.block(found, "checks")
    for told in (
        "19 of 20",
        "0, 512",
        "0.10 s, 0.20 s",
        "5 of 5",
        "4 of 5",
        "21 passed, 0 failed, 1 skipped",
    ):
        assert told in checks
    assert tables.block(found, "about").endswith("vLLM 0.32.0 with dtype = bfloat16; 2026-11-27.")
    with pytest.raises(KeyError):
        tables.block(found, "nothing")


def test_what_was_not_measured_has_no_table() -> None:
    empty = msgspec.structs.replace(
        a_run(), starts=[], rows=[], agreement=None, kept=None, left=None, forms=None, contract=None
    )
    assert [tables.block(empty, name) for name in ("clients", "starts", "checks")] == ["", "", ""]


def test_results_are_read_again(tmp_path: Path) -> None:
    older, newer = a_run(), a_run("2026-11-28T10:00:00+00:00")
    for found in (newer, older):
        found.save(tmp_path)
    assert newest(tmp_path, KIND, Results) == newer and newest(tmp_path / "none", KIND, Results) is None


def test_the_contract_is_of_what_was_measured(tmp_path: Path) -> None:
    echo = wrapped(Path("/bin/echo"), {"dtype": "float32", "enforce_eager": True}, tmp_path)
    told = subprocess.run([echo, "serve", "a b"], check=True, capture_output=True, text=True).stdout
    assert told == "serve a b --dtype=float32 --enforce-eager\n"


def test_what_pytest_says_of_the_contract() -> None:
    assert counted("....\n20 passed, 2 skipped, 40 deselected in 61.02s (0:01:01)\n", 61.0) == Contract(
        passed=20, skipped=2, failed=0, seconds=61.0
    )
    assert counted("E\n1 failed, 19 passed, 2 errors in 1s", 1.0).failed == 3
    for nothing in ("", "no tests ran in 0.01s"):
        with pytest.raises(RuntimeError, match="not run"):
            counted(nothing, 1.0)
