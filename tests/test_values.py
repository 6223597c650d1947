"""The few facts that values derive of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from antiphon.values import ChatJob, Deployment, Form


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({}, set()),
        ({"temperature": 0.3, "stop": ("a",), "n": 3, "logprobs": False, "top_logprobs": 0}, set()),
        ({"logit_bias": {5: 1.0}}, {"logit_bias"}),
        ({"logprobs": True}, {"logprobs"}),
        ({"logprobs": True, "top_logprobs": 2}, {"logprobs", "top_logprobs"}),
        ({"seed": 0}, set()),
        ({"form": Form('root ::= "a"')}, {"grammar"}),
        ({"form": Form('root ::= "a"', "<tool_call>")}, {"lazy_grammar"}),
    ],
)
def test_a_job_tells_what_not_every_engine_can_do(fields: dict[str, Any], needs: set[str]) -> None:
    assert ChatJob(id="c", model="m", messages=(), **fields).needs == needs


def test_a_seed_is_a_wish() -> None:
    assert ChatJob(id="c", model="m", messages=(), seed=0).wishes == {"seed"}
    assert ChatJob(id="c", model="m", messages=()).wishes == frozenset()


def test_deployments_of_one_snapshot_have_different_names() -> None:
    one = Deployment(snapshot="m-2024", task="chat", engine="fast", model=Path("m"))
    other = Deployment(snapshot="m-2024", task="chat", engine="able", model=Path("m"), alternative=True)
    assert (one.name, other.name) == ("m-2024", "m-2024@able")
