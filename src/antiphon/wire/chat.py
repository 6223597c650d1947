"""The shapes of `POST /v1/chat/completions`, as clients send and read them. No logic.

Optional request fields accept an explicit null, which means the default. `fields.CHAT` says what becomes
of each of them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from antiphon.values import TokenLogprob
from antiphon.wire.sampling import END, SamplingRequest, ShortText, TokenCount

Name = Annotated[str, Meta(pattern=rf"^[A-Za-z0-9_.-]{{1,64}}{END}")]


Metadata = Annotated[dict[Annotated[str, Meta(max_length=64)], ShortText], Meta(max_length=16)]
"""What a client notes beside a completion, to find it again: keys and values."""


class TextPart(msgspec.Struct, frozen=True, tag="text", forbid_unknown_fields=True):
    text: str


class RefusalPart(msgspec.Struct, frozen=True, tag="refusal", forbid_unknown_fields=True):
    refusal: str


class ImagePart(msgspec.Struct, frozen=True, tag="image_url"):
    image_url: Any = None


class InputAudio(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    data: str
    """In base64."""
    format: Literal["wav", "mp3"]


class AudioPart(msgspec.Struct, frozen=True, tag="input_audio", forbid_unknown_fields=True):
    input_audio: InputAudio


class FilePart(msgspec.Struct, frozen=True, tag="file"):
    file: Any = None


Part = TextPart | RefusalPart | ImagePart | AudioPart | FilePart


FunctionName = Annotated[str, Meta(pattern=rf"^[A-Za-z0-9_-]{{1,64}}{END}")]
CallId = Annotated[str, Meta(min_length=1, max_length=128)]
LongText = Annotated[str, Meta(max_length=65_536)]


class CalledFunction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A function as it was called: `arguments` is JSON in a string."""

    name: FunctionName
    arguments: str


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, tag="function", forbid_unknown_fields=True):
    """A call in a message, as sent and as answered."""

    id: CallId
    function: CalledFunction


class CustomToolCall(msgspec.Struct, frozen=True, tag="custom"):
    custom: Any = None


class RequestMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message as sent; assistant messages may be sent back exactly as they were received."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | Annotated[list[Part], Meta(max_length=256)] | None = None
    name: Name | None = None
    refusal: str | None = None
    annotations: list[Any] | None = None
    reasoning_content: str | None = None
    audio: Any = None
    tool_calls: Annotated[list[ToolCall | CustomToolCall], Meta(max_length=128)] | None = None
    function_call: CalledFunction | None = None
    tool_call_id: CallId | None = None


class FunctionDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A function that may be called; `parameters` is the JSON schema of an object."""

    name: FunctionName
    description: LongText | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(msgspec.Struct, frozen=True, tag="function", forbid_unknown_fields=True):
    function: FunctionDefinition


class CustomTool(msgspec.Struct, frozen=True, tag="custom"):
    custom: Any = None


class NamedFunction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: FunctionName


class NamedTool(msgspec.Struct, frozen=True, tag="function", forbid_unknown_fields=True):
    """The function that is to be called, or one of those that may be."""

    function: NamedFunction


class NamedCustomTool(msgspec.Struct, frozen=True, tag="custom"):
    custom: Any = None


class AllowedTools(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedTool | NamedCustomTool], Meta(min_length=1, max_length=128)]


class AllowedToolsChoice(msgspec.Struct, frozen=True, tag="allowed_tools", forbid_unknown_fields=True):
    allowed_tools: AllowedTools


class TextFormat(msgspec.Struct, frozen=True, tag="text", forbid_unknown_fields=True):
    pass


class JsonObjectFormat(msgspec.Struct, frozen=True, tag="json_object", forbid_unknown_fields=True):
    pass


class JsonSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: FunctionName
    description: LongText | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class JsonSchemaFormat(msgspec.Struct, frozen=True, tag="json_schema", forbid_unknown_fields=True):
    json_schema: JsonSchema


class ChatRequest(SamplingRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a chat request."""

    messages: Annotated[list[RequestMessage], Meta(min_length=1, max_length=2048)]
    max_completion_tokens: TokenCount | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    safety_identifier: Annotated[str, Meta(max_length=64)] | None = None
    prompt_cache_key: ShortText | None = None
    prompt_cache_retention: ShortText | None = None
    prompt_cache_options: dict[str, Any] | None = None
    metadata: Metadata | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    prediction: dict[str, Any] | None = None
    service_tier: str | None = None
    store: bool | None = None
    modalities: list[str] | None = None
    verbosity: str | None = None
    audio: Any = None
    web_search_options: Any = None
    moderation: Any = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    tools: Annotated[list[FunctionTool | CustomTool], Meta(max_length=128)] | None = None
    tool_choice: (
        Literal["none", "auto", "required"] | NamedTool | NamedCustomTool | AllowedToolsChoice | None
    ) = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[list[FunctionDefinition], Meta(max_length=128)] | None = None
    function_call: Literal["none", "auto"] | NamedFunction | None = None


class RenderedPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """What the model would read: the text, and the tokens it becomes."""

    object: Literal["chat.completion.prompt"] = "chat.completion.prompt"
    model: str
    prompt: str
    token_count: int
    tokens: list[int]


Finish = Literal["stop", "length", "tool_calls", "function_call", "content_filter"]


class Logprobs(msgspec.Struct, frozen=True):
    content: list[TokenLogprob]
    refusal: None = None


class PromptTokensDetails(msgspec.Struct, frozen=True):
    cached_tokens: int = 0
    audio_tokens: int = 0


class CompletionTokensDetails(msgspec.Struct, frozen=True):
    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class CompletionUsage(msgspec.Struct, frozen=True, kw_only=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails = PromptTokensDetails()
    completion_tokens_details: CompletionTokensDetails = CompletionTokensDetails()


class AnswerMessage(msgspec.Struct, frozen=True, kw_only=True):
    role: Literal["assistant"] = "assistant"
    content: str | None
    """None where there are calls and no text."""
    refusal: None = None
    tool_calls: list[ToolCall] | UnsetType = UNSET
    function_call: CalledFunction | UnsetType = UNSET
    annotations: list[Any] = []


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    message: AnswerMessage
    logprobs: Logprobs | None = None
    finish_reason: Finish


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: CompletionUsage
    service_tier: Literal["default"] = "default"
    system_fingerprint: str


class ChunkFunction(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a call: its name with the first, then its arguments as they come."""

    name: str | UnsetType = UNSET
    arguments: str = ""


class ChunkToolCall(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET
    function: ChunkFunction


class ChunkDelta(msgspec.Struct, frozen=True, kw_only=True):
    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    refusal: None | UnsetType = UNSET
    tool_calls: list[ChunkToolCall] | UnsetType = UNSET
    function_call: ChunkFunction | UnsetType = UNSET


class ChunkChoice(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    delta: ChunkDelta
    logprobs: Logprobs | None = None
    finish_reason: Finish | None = None


class ChatCompletionChunk(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a streamed answer; `usage` is present only when the client asked for it."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    service_tier: Literal["default"] = "default"
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: CompletionUsage | None | UnsetType = UNSET
