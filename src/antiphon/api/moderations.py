"""`POST /v1/moderations`: what texts are about, by whatever scores here; and what scores what."""

from __future__ import annotations

import asyncio

from antiphon.admission.gate import Gate
from antiphon.admission.limits import Demand, guessed_tokens
from antiphon.api import body
from antiphon.api.exchange import JSON, Exchange
from antiphon.api.routes import Answer, Route
from antiphon.errors import InvalidRequest, ModelNotFound, Unavailable, UnsupportedParameter
from antiphon.moderation.scoring import FLAGGED, Findings, Panel
from antiphon.storage.ids import new_id
from antiphon.wire.moderations import (
    CATEGORIES,
    Moderation,
    ModerationRequest,
    ModerationResult,
    Part,
    ScorerList,
    ScorerState,
)

RATED_AS = "moderation"
"""What requests are counted as: a project's limits may be set for it, as for a snapshot."""
MOST_INPUTS = 256
MOST_CHARACTERS = 262_144
"""Of all inputs together."""
_BODY_BYTES = 2_097_152
_PLACES = 4
"""Requests that are scored at once; others wait, as for an engine."""
_SECONDS = 60.0
_OFFICIAL = (
    "omni-moderation-latest",
    "omni-moderation-2024-09-26",
    "text-moderation-latest",
    "text-moderation-stable",
)
"""Names that clients send: whatever is asked for, the same scorers answer."""


class ModerationApi:
    def __init__(self, panel: Panel, gate: Gate) -> None:
        self._panel = panel
        self._gate = gate

    def rows(self) -> list[Route]:
        return [
            Route(
                method="POST",
                path="/v1/moderations",
                needs="chat",
                handler=self.create_moderation,
                summary="Score texts by what they are about: hate, harassment, self-harm and so on.",
                body=ModerationRequest,
                answers=(Answer(JSON, Moderation),),
            ),
            Route(
                method="GET",
                path="/v1/moderations/scorers",
                needs="chat",
                handler=self.list_scorers,
                summary="Say what scores which categories here, and which nobody scores.",
                answers=(Answer(JSON, ScorerList),),
            ),
        ]

    async def create_moderation(self, exchange: Exchange) -> None:
        request = await body.read(exchange, ModerationRequest, _BODY_BYTES)
        model = self._panel.model
        if request.model is not None and request.model not in (*_OFFICIAL, model):
            raise ModelNotFound(request.model, f" (HINT: leave 'model' out, or send '{_OFFICIAL[0]}')")
        inputs = _inputs(request)
        texts = [text for one in inputs for text in one]
        demand = Demand(tokens=guessed_tokens(texts))
        async with self._gate.enter(
            exchange.known_caller, RATED_AS, lambda: _PLACES, 1, demand, exchange.show
        ):
            try:
                async with asyncio.timeout(_SECONDS):
                    found = iter(await self._panel.score(texts))
            except TimeoutError:
                raise Unavailable("The texts could not be scored in time.", retry_after=5) from None
        unscored = self._panel.unscored
        results = [_result([next(found) for _ in one], unscored) for one in inputs]
        await exchange.answer_json(
            Moderation(id=new_id("modr-"), model=model, results=results, unscored=unscored)
        )

    async def list_scorers(self, exchange: Exchange) -> None:
        data = [
            ScorerState(
                name=one.name,
                version=one.version,
                categories=[name for name in CATEGORIES if name in one.categories],
                problem=one.problem,
            )
            for one in self._panel.scorers
        ]
        await exchange.answer_json(
            ScorerList(model=self._panel.model, data=data, unscored=self._panel.unscored)
        )


def _inputs(request: ModerationRequest) -> list[list[str]]:
    """The texts of each input. Raises `InvalidRequest`, naming the parameter."""
    given = request.input
    if isinstance(given, str):
        return _bounded([[given]])
    if all(isinstance(one, str) for one in given):
        return _bounded([[one] for one in given if isinstance(one, str)])
    return _bounded([[_text(one, at) for at, one in enumerate(given)]])


def _text(part: str | Part, at: int) -> str:
    """Of a part of the one input that parts make."""
    place = f"input[{at}]"
    if isinstance(part, str):
        raise InvalidRequest(
            f"Invalid type for '{place}': texts and parts cannot be mixed.", param=place, code="invalid_type"
        )
    if part.type == "image_url" or part.image_url is not None:
        raise UnsupportedParameter(
            f"'{place}.image_url' is not supported by this server: it scores texts alone.",
            param=f"{place}.image_url",
        )
    if part.text is None:
        raise InvalidRequest(
            f"Missing required parameter: '{place}.text'.",
            param=f"{place}.text",
            code="missing_required_parameter",
        )
    return part.text


def _bounded(inputs: list[list[str]]) -> list[list[str]]:
    count = sum(map(len, inputs))
    if count > MOST_INPUTS:
        raise InvalidRequest(
            f"Invalid value for 'input': {count} texts are more than the {MOST_INPUTS} that a request may "
            "have.",
            param="input",
            code="invalid_value",
        )
    length = sum(len(text) for one in inputs for text in one)
    if length > MOST_CHARACTERS:
        raise InvalidRequest(
            f"Invalid value for 'input': {length} characters are more than the {MOST_CHARACTERS} that a "
            "request may have.",
            param="input",
            code="invalid_value",
        )
    return inputs


def _result(found: list[Findings], unscored: list[str]) -> ModerationResult:
    """Of one input: the highest score of its parts."""
    scores = {name: max(one[name].score for one in found) for name in CATEGORIES}
    categories = {name: score >= FLAGGED for name, score in scores.items()}
    return ModerationResult(
        flagged=any(categories.values()),
        categories=categories,
        category_scores=scores,
        category_applied_input_types={name: [] if name in unscored else ["text"] for name in CATEGORIES},
    )
