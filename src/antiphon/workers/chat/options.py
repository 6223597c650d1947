"""What `/completion` is asked, checked, and as OpenVINO GenAI reads it."""

from __future__ import annotations

import re
import secrets
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from antiphon.errors import ContextLengthExceeded, InvalidRequest
from antiphon.grammar import lazy

_GREEDY = 1e-4
"""Temperatures below it leave no choice."""
_SMALLEST = 1e-6
"""For OpenVINO, zero is no probability: of the likeliest token, any share is enough."""
_SEEDS = 32
"""Bits of a seed that nobody chose."""

Penalty = Annotated[float, Meta(ge=-2, le=2)]


class Trigger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: Literal[1]
    value: Annotated[str, Meta(min_length=1)]


class Completion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `/completion`. `partition` is whose prompt it is, in an opaque text; no two of them share
    what is kept of prompts, and an empty one shares with nobody."""

    prompt: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1)]
    n_predict: Annotated[int, Meta(ge=1)]
    stream: Literal[True] = True
    temperature: Annotated[float, Meta(ge=0, le=2)] = 1.0
    top_p: Annotated[float, Meta(ge=0, le=1)] = 1.0
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    stop: Annotated[list[str], Meta(max_length=16)] = []
    grammar: str = ""
    grammar_lazy: bool = False
    grammar_triggers: Annotated[list[Trigger], Meta(max_length=1)] = []
    partition: Annotated[str, Meta(max_length=256)] = ""


def read(body: bytes, *, context: int, vocabulary: int) -> Completion:
    """The body, checked against the model's sizes. Raises `InvalidRequest` with the name of what is wrong."""
    try:
        asked = msgspec.json.decode(body, type=Completion)
    except msgspec.DecodeError as problem:
        named = re.search(r"\$\.(\w+)|`(\w+)`$", str(problem))
        # Its own text may quote the body.
        raise InvalidRequest(
            "The body of the request is not as it should be.", param=named and (named[1] or named[2])
        ) from None
    if max(asked.prompt) >= vocabulary:
        raise InvalidRequest("The model has no such token.", param="prompt")
    if len(asked.prompt) + asked.n_predict > context:
        raise ContextLengthExceeded(limit=context, prompt=len(asked.prompt), completion=asked.n_predict)
    if asked.grammar_lazy != bool(asked.grammar_triggers) or (asked.grammar_lazy and not asked.grammar):
        raise InvalidRequest("A lazy grammar has one trigger.", param="grammar_triggers")
    return asked


def generation(asked: Completion, ends: frozenset[int]) -> dict[str, Any]:
    """The arguments of a `GenerationConfig`, but for the grammar. Stop strings are found by `text`."""
    greedy = asked.temperature < _GREEDY
    sampling: dict[str, Any] = {} if greedy else {
        "temperature": asked.temperature,
        "top_p": max(asked.top_p, _SMALLEST),
    }  # fmt: skip
    return sampling | {
        "do_sample": not greedy,
        "rng_seed": secrets.randbits(_SEEDS) if asked.seed is None else asked.seed,
        "max_new_tokens": asked.n_predict,
        "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty,
        "stop_token_ids": set(ends),
        "eos_token_id": min(ends),
    }


def grammar(asked: Completion) -> str:
    """The grammar as xgrammar reads it, in which a lazy one begins behind any text that lacks the trigger.

    Raises `InvalidRequest` if a lazy grammar does not begin with its trigger.
    """
    if not asked.grammar_lazy:
        return asked.grammar
    return lazy.after(asked.grammar_triggers[0].value, asked.grammar)
