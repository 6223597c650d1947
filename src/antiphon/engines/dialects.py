"""What servers of OpenAI's API can do beyond it, by what they call themselves: count a prompt before it is
answered, count tokens while they write, and keep what they computed for one organization from others."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec

from antiphon.engines.openai_body import messages, tools
from antiphon.engines.upstream import Upstream
from antiphon.errors import EngineFailed
from antiphon.values import ChatJob, Function, Message
from antiphon.wire.openai import Meant, Template, Tokens

T = TypeVar("T")

Conversation = tuple[Sequence[Message], Sequence[Function]]
Counter = Callable[[Upstream, str, str, Conversation], Awaitable[Sequence[int] | None]]
"""The tokens of a conversation: from a server, the path before its own, the model's name there; None if it
cannot tell. Raises what `Upstream.post` does."""


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """`alive`: a path beside `/v1` that tells whether the server is well, and may ask for no key; empty if
    only the API is known."""

    alive: str = ""
    count: Counter | None = None
    more: Callable[[ChatJob], dict[str, Any]] = lambda job: {}
    """What a request says besides."""


def dialect(listed: Meant) -> Dialect:
    """By how a server lists the model."""
    return _DIALECTS.get("antiphon" if listed.stand_in is not None else listed.owned_by or "", Dialect())


async def _by_vllm(upstream: Upstream, root: str, model: str, said: Conversation) -> Sequence[int]:
    body = {"model": model, "messages": messages(said[0]), "add_generation_prompt": True}
    body |= {"tools": tools(said[1])} if said[1] else {}
    return _read(await upstream.post(f"{root}/tokenize", body), Tokens).tokens


async def _by_llama(upstream: Upstream, root: str, model: str, said: Conversation) -> Sequence[int]:
    body: dict[str, Any] = {"messages": messages(said[0])}
    body |= {"tools": tools(said[1])} if said[1] else {}
    prompt = _read(await upstream.post(f"{root}/apply-template", body), Template).prompt
    read = {"content": prompt, "add_special": True, "parse_special": True}
    return _read(await upstream.post(f"{root}/tokenize", read), Tokens).tokens


async def _by_antiphon(upstream: Upstream, root: str, model: str, said: Conversation) -> Sequence[int] | None:
    if said[1]:
        return None  # it shows prompts without functions
    body = {"model": model, "messages": messages(said[0])}
    return _read(await upstream.post(f"{root}/v1/chat/completions/render", body), Tokens).tokens


def _salt(job: ChatJob) -> str:
    """What is kept of a prompt is found by those with the same salt alone; with a seed by nobody."""
    return job.organization if job.organization and job.seed is None else secrets.token_hex(16)


def _read(answer: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer, type=kind)
    except msgspec.DecodeError:
        raise EngineFailed("The engine sent something unreadable.", retry_after=1) from None


_COUNTED = {"include_usage": True, "continuous_usage_stats": True}
_DIALECTS = {
    "vllm": Dialect(
        alive="/health",
        count=_by_vllm,
        more=lambda job: {"stream_options": _COUNTED, "cache_salt": _salt(job)},
    ),
    "sglang": Dialect(
        alive="/health",
        more=lambda job: {"stream_options": _COUNTED, "cache_salt": _salt(job)},
    ),
    "llamacpp": Dialect(
        # Unlike /health, this is answered by the loop that computes.
        alive="/lora-adapters",
        count=_by_llama,
        # It cannot tell whose a prompt is: nothing of it is found again.
        more=lambda job: {"timings_per_token": True, "cache_prompt": False},
    ),
    "antiphon": Dialect(count=_by_antiphon),
}
