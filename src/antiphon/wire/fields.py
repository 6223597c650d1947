"""What becomes of every request field: one table for each route, and nothing is silently ignored.

`HONOURED` changes the answer as documented. `HINT` is checked and accepted; it never changes an answer here.
`DEFAULT` accepts the values that ask for nothing and refuses others by name. The documentation page and the
tests are made from these tables.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec


class Treatment(Enum):
    HONOURED = "honoured"
    HINT = "accepted as a hint"
    DEFAULT = "only its default"


class Field(msgspec.Struct, frozen=True):
    """How one field is treated; `accepted` are the values that ask for nothing, besides null."""

    treatment: Treatment
    accepted: tuple[Any, ...] = ()


_HONOURED = Field(Treatment.HONOURED)
_HINT = Field(Treatment.HINT)

_SAMPLING: dict[str, Field] = {
    "model": _HONOURED,
    "temperature": _HONOURED,
    "top_p": _HONOURED,
    "n": _HONOURED,
    "stream": _HONOURED,
    "stream_options": _HONOURED,
    "stop": _HONOURED,
    "max_tokens": _HONOURED,
    "presence_penalty": _HONOURED,
    "frequency_penalty": _HONOURED,
    "logit_bias": _HONOURED,
    "seed": _HONOURED,
    "user": _HINT,
}
"""What a chat and a completion both have."""

CHAT: dict[str, Field] = {
    **_SAMPLING,
    "messages": _HONOURED,
    "max_completion_tokens": _HONOURED,
    "logprobs": _HONOURED,
    "top_logprobs": _HONOURED,
    "safety_identifier": _HINT,
    "prompt_cache_key": _HINT,
    "prompt_cache_retention": _HINT,
    "prompt_cache_options": _HINT,
    "metadata": _HONOURED,
    "reasoning_effort": _HINT,
    "prediction": _HINT,
    "service_tier": Field(Treatment.DEFAULT, ("auto", "default")),
    "store": _HONOURED,
    "modalities": Field(Treatment.DEFAULT, (["text"],)),
    "verbosity": Field(Treatment.DEFAULT, ("medium",)),
    "audio": Field(Treatment.DEFAULT),
    "web_search_options": Field(Treatment.DEFAULT),
    "moderation": Field(Treatment.DEFAULT),
    "response_format": _HONOURED,
    "tools": _HONOURED,
    "tool_choice": _HONOURED,
    "parallel_tool_calls": _HONOURED,
    "functions": _HONOURED,
    "function_call": _HONOURED,
}

MESSAGE: dict[str, Field] = {
    "role": _HONOURED,
    "content": _HONOURED,
    "name": _HONOURED,
    "refusal": _HONOURED,
    "annotations": _HINT,
    "reasoning_content": _HINT,
    "audio": Field(Treatment.DEFAULT),
    "tool_calls": _HONOURED,
    "function_call": _HONOURED,
    "tool_call_id": _HONOURED,
}

COMPLETION: dict[str, Field] = {
    **_SAMPLING,
    "prompt": _HONOURED,
    "best_of": _HONOURED,
    "echo": _HONOURED,
    "logprobs": _HONOURED,
    "suffix": Field(Treatment.DEFAULT, ("",)),
}

EMBEDDING: dict[str, Field] = {
    "input": _HONOURED,
    "model": _HONOURED,
    "encoding_format": _HONOURED,
    "dimensions": _HONOURED,
    "user": _HINT,
}

SPEECH: dict[str, Field] = {
    "file": _HONOURED,
    "model": _HONOURED,
    "language": _HONOURED,
    "prompt": _HONOURED,
    "response_format": _HONOURED,
    "temperature": _HONOURED,
    "timestamp_granularities": _HONOURED,
    "stream": _HONOURED,
    "user": _HINT,
    "chunking_strategy": Field(Treatment.DEFAULT, ("auto",)),
    "include": Field(Treatment.DEFAULT, ([],)),
    "known_speaker_names": Field(Treatment.DEFAULT, ([],)),
    "known_speaker_references": Field(Treatment.DEFAULT, ([],)),
    "languages": Field(Treatment.DEFAULT, ([],)),
    "keywords": Field(Treatment.DEFAULT, ([],)),
}
