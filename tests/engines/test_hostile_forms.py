"""Forms that are made to hold an engine up or to end it, on every kind of chat engine, and schemas at random.

What is refused before an engine sees it is in `bad_input`; here is what is let through.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest
import pytest_asyncio

from antiphon.engines import kinds
from antiphon.engines.base import ChatEngine, EngineKind
from antiphon.errors import InvalidRequest
from antiphon.grammar.calls import Value, grammar
from antiphon.grammar.problems import InvalidSchema
from antiphon.values import Form, Function
from bad_input.schema_cases import HARD
from chat_engines import answer, deployment, job, running, text

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = sorted(name for name, kind in kinds().items() if kind.task == "chat" and "gguf" in kind.reads)
SECONDS = 60.0
"""Longest answer of a few tokens: an engine that is held up takes minutes."""
SCHEMAS, SEED = int(os.environ.get("SCHEMAS", "10")), int(os.environ.get("SEED", "3"))
"""Schemas at random that are served; `make fuzz` has more of them."""


@pytest.fixture(scope="module", params=CHAT)
def kind(request: pytest.FixtureRequest) -> EngineKind:
    return kinds()[request.param]


@pytest.fixture(scope="module")
def prepared(kind: EngineKind, request: pytest.FixtureRequest) -> Path | None:
    return request.getfixturevalue("prepared_smollm2") if kind.preparation else None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(kind: EngineKind, smollm2: Path, prepared: Path | None) -> AsyncIterator[ChatEngine]:
    async with running(kind, deployment(kind.name, smollm2, prepared)) as (client, _):
        yield client


@pytest.mark.requirement("R11")
@pytest.mark.parametrize("name", HARD)
async def test_what_is_let_through_holds_nobody_up(engine: ChatEngine, name: str) -> None:
    schema = HARD[name]
    form = Form(grammar(value=Value(schema, strict=name.startswith("pattern-"))).gbnf())
    began = time.monotonic()
    deltas, _ = await answer(engine, job("Go.", form=form, max_tokens=12))
    assert time.monotonic() - began < SECONDS
    if deltas[-1].finish_reason == "stop":
        jsonschema.validate(json.loads(text(deltas)), schema)


@pytest.mark.timeout(180 + 10 * SCHEMAS)
async def test_schemas_at_random_are_refused_or_held_to(engine: ChatEngine) -> None:
    chance, finished = Random(SEED), 0
    for schema, form in islice(_random(chance), SCHEMAS):
        given = {"temperature": 1.0, "seed": chance.randrange(1000), "max_tokens": 60}
        deltas, _ = await answer(engine, job("Go.", form=form, **given))
        if deltas[-1].finish_reason == "stop":
            finished += 1
            jsonschema.validate(json.loads(text(deltas)), schema)
    assert finished > SCHEMAS / 3


def _random(chance: Random) -> Any:
    """Schemas for which there is a grammar, and that; held to strictly, so that nothing is left out."""
    while True:
        schema = _schema(chance, 3)
        try:
            yield schema, Form(grammar(value=Value(schema, strict=True)).gbnf())
        except InvalidSchema:
            continue


async def test_what_stands_behind_a_letter_is_no_part_of_its_number(engine: ChatEngine) -> None:
    """An engine that keeps letters beyond ASCII as numbers may take digits that follow them for theirs."""
    values = ["\u00e9a1", "\u00ffF-", "\u65e50", "\U0001f600b", "\u2028c", "\x7f0", "\u00e9\u00e91"]
    patterns = ["[\u00e9-\u00ed0-1]{9}", "(\u00e91){2}", "[^\x00-/1-\u00e90-\uffff]{2}"]
    schemas = [*({"enum": [value]} for value in values), {"enum": [*values, *(f"{v}0" for v in values)]}]
    for schema in [*schemas, *({"type": "string", "pattern": f"^{pattern}$"} for pattern in patterns)]:
        form = Form(grammar(value=Value(schema)).gbnf())
        deltas, _ = await answer(engine, job("Go.", form=form, max_tokens=60))
        jsonschema.validate(json.loads(text(deltas)), schema)


def _schema(chance: Random, depth: int) -> Any:
    match chance.randrange(9 if depth else 5):
        case 0:
            return {"type": chance.choice(["string", "integer", "number", "boolean", "null"])}
        case 1:
            low = chance.randrange(0, 30)
            return {"type": "string", "minLength": low, "maxLength": low + chance.randrange(0, 60)}
        case 2:
            return {"type": "string", "pattern": "^" + _pattern(chance, 2) + "$"}
        case 3:
            low = chance.randrange(-1000, 1000)
            kind = chance.choice(["integer", "number"])
            return {"type": kind, "minimum": low, "exclusiveMaximum": low + chance.randrange(1, 500)}
        case 4:
            return {"enum": chance.sample([1, -2.5, "a", "\u00e9\n", None, True, [1, {"a": []}], ""], 3)}
        case 5:
            return {"anyOf": [_schema(chance, depth - 1) for _ in range(chance.randrange(1, 4))]}
        case 6:
            low = chance.randrange(0, 3)
            items = _schema(chance, depth - 1)
            return {"type": "array", "items": items, "minItems": low, "maxItems": low + chance.randrange(20)}
        case _:
            names = [f"{chance.choice('abc')}{n}" for n in range(chance.randrange(0, 4))]
            return {
                "type": "object",
                "properties": {name: _schema(chance, depth - 1) for name in names},
                "required": names,
                "additionalProperties": False,
            }


def _pattern(chance: Random, depth: int) -> str:
    atoms = ["a", "[a-f]", "\\d", ".", "[^x-z]", "\\w", " ", "\\.", "\u00e9"]
    parts = []
    for _ in range(chance.randrange(1, 4)):
        grouped = depth and chance.random() < 0.4
        inside = (
            "|".join(_pattern(chance, depth - 1) for _ in range(chance.randrange(1, 3))) if grouped else ""
        )
        atom = f"({inside})" if grouped else chance.choice(atoms)
        low = chance.randrange(0, 12)
        times = [
            "",
            "",
            "?",
            "*",
            "+",
            f"{{{low}}}",
            f"{{{low},}}",
            f"{{{low},{low + chance.randrange(40)}}}",
        ]
        parts.append(atom + chance.choice(times))
    return "".join(parts)


@pytest.mark.requirement("R11")
@pytest.mark.parametrize("functions", [(), (Function(name="f", parameters={}),)])
async def test_a_grammar_that_an_engine_cannot_read_is_the_requests_fault(
    kind: EngineKind, smollm2: Path, prepared: Path | None, functions: tuple[Function, ...]
) -> None:
    """None of ours is; should one be, whoever sent the schema is told, and not to try again."""
    async with running(kind, deployment(kind.name, smollm2, prepared)) as (engine, _):
        with pytest.raises(InvalidRequest) as refusal:
            await answer(engine, job(form=Form("root ::= ("), functions=functions))
        assert refusal.value.param == ("tools" if functions else "response_format")
