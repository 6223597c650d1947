"""What requests for text have in common: how tokens are chosen, when to stop, how it is sent. No logic.

Optional fields accept an explicit null, which means the default.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

END = r"$(?!\n)"
"""The end of a text alone: in Python `$` is also before a last line end. Other languages read it alike."""
ModelName = Annotated[str, Meta(min_length=1, max_length=256)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
TokenCount = Annotated[int, Meta(ge=1, le=2**31 - 1)]
ShortText = Annotated[str, Meta(max_length=512)]


class StreamOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class SamplingRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the body of a chat and that of a completion both have."""

    model: ModelName
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=8)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop: (
        Annotated[str, Meta(max_length=1024)]
        | Annotated[list[Annotated[str, Meta(max_length=1024)]], Meta(max_length=4)]
        | None
    ) = None
    max_tokens: TokenCount | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: (
        Annotated[
            dict[
                Annotated[str, Meta(pattern=rf"^[0-9]{{1,9}}{END}")], Annotated[float, Meta(ge=-100, le=100)]
            ],
            Meta(max_length=1024),
        ]
        | None
    ) = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    user: ShortText | None = None
