"""What travels between the parts of the house. Plain frozen values; no behaviour beyond derived facts.

Times are seconds; token counts are the engine's own; audio positions are seconds from its start.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

import msgspec

from antiphon.capacity import NOTHING as NOTHING
from antiphon.capacity import Capacity as Capacity
from antiphon.foreign import Prompt as Prompt
from antiphon.foreign import Site as Site
from antiphon.foreign import Wish as Wish

Task = Literal["chat", "speech", "embedding"]
SpeechTask = Literal["transcribe", "translate"]
Pooling = Literal["mean", "cls", "last"]
"""What makes one vector of those of all tokens: their mean, or the one of the first or the last token."""
Format = Literal["gguf", "safetensors", "ctranslate2", "upstream"]
"""How a model is published: as one GGUF file, as a folder of safetensors and JSON as the Hugging Face hub has
them, or as a folder of CTranslate2; or not at all: it is served at a URL.
"""
Feature = Literal["logit_bias", "logprobs", "top_logprobs", "grammar", "lazy_grammar", "seed"]
"""What a chat engine may be able to do, or not: `logprobs` of the tokens that were chosen, `top_logprobs` of
others too; answers held to a `grammar`, from their beginning or (`lazy_grammar`) from a trigger on; the same
answer for the same `seed`, whatever else is computed beside it (every engine takes a seed).
"""
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


KeyKind = Literal["project", "admin", "operator", "session"]
"""What a key opens: the API of one project, the administration of one organization, the installation."""
Role = Literal["owner", "member", "reader"]
"""In an organization. An owner may change everything of it, a member its projects' keys, a reader nothing."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """For how long the content of requests is kept: prompts, answers, recordings, transcripts."""

    days: int = 30
    """After so many it is gone, for good; 0: it is never written."""
    stores: bool = True
    """Whether a request may ask with `store` that its completion is kept; else that counts as false."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: the key that was shown, and whose it is."""

    key_id: str
    project_id: str = ""
    """Empty for admin and operator keys, which no project's route accepts."""
    project: str = ""
    """The project's readable name."""
    organization_id: str
    """Empty for operator keys, until a request names an organization."""
    organization: str
    """The organization's readable name, as answered in `openai-organization`."""
    tenant: str = msgspec.field(default_factory=lambda: secrets.token_hex(16))
    """What engines call the organization, those of others too: its id cannot be found by it. Unless it is
    given, one that nobody else has."""
    kind: KeyKind = "project"
    role: Role = "reader"
    """What an admin key, or a person who signed in, may do in its organization."""
    operator: bool = False  # whether a person who signed in runs the installation, too
    scopes: frozenset[str] = frozenset({"chat", "audio", "models"})
    """What a project key may be used for."""
    member_id: str | None = None
    """Who owns the key: a member, or nobody in particular (a service account's, or made by the operator)."""
    policy: Policy = Policy()  # what becomes of the content of its requests
    erased_at: int = 0  # when all was erased of its organization or project, the last time, in unix seconds


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot costs from a day on, in nano-dollars (10^-9 USD): whole numbers, nothing is rounded.

    `input`, `cached_input` and `output` are for 1,000 tokens, `second` for a second of sound.
    """

    since: date
    input: int = 0
    cached_input: int = 0
    output: int = 0
    second: int = 0


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot as one engine serves it: what to launch, with what."""

    snapshot: str
    """The snapshot's id, for instance `whisper-base-2022-09-21`."""
    alternative: bool = False
    """Whether another engine is preferred for the snapshot, and this one is for what that cannot do."""
    on_demand: bool = False
    """Whether its engine runs only while it is asked for."""
    coming: bool = False
    """Whether it is to take the place of another, which serves until it is ready: it may take its time."""
    instance: str = ""
    """The dedicated instance that it is, by its id; empty for what everybody is served by."""
    organization: str = ""
    """Whose instance it is; nobody else's requests go there."""
    spill_over: bool = False
    """Whether requests that it has no place for go to what everybody is served by."""
    replicas: int = 1
    """Engines that run for it, each with all its slots, at least."""
    most_replicas: int = 1
    """And at most, while many wait."""
    needs: Capacity = NOTHING
    """What each takes of the machine where it runs: reserved for it on a cluster."""
    task: Task
    engine: str
    """The name of a module in `antiphon.engines`."""
    model: Path
    """A file (GGUF) or a folder (safetensors, CTranslate2), verified before use."""
    prepared: Path | None = None
    """The folder that was made of it for an engine that cannot read it as it is."""
    context: int = 0
    """Tokens of prompt and answer together, or of one text to embed; 0 for speech."""
    slots: int = 1
    """Requests that one engine process serves at once."""
    site: Site | None = None
    """Where it is served, if nothing is launched for it here; then nothing is at `model`."""
    options: Mapping[str, Any] = {}
    """What only this engine knows, from the catalogue."""
    digest: str = ""
    """Of everything above that changes answers: files, template, engine and its version, context."""

    @property
    def name(self) -> str:
        """What its process, its pool and its log are called. Of a snapshot's deployments one has its id."""
        if self.instance:
            return f"{self.snapshot}@{self.instance}"
        return f"{self.snapshot}@{self.engine}" if self.alternative else self.snapshot


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A model that never changes, under a dated id."""

    id: str
    task: Task
    released: date
    owned_by: str
    licence: str
    context: int = 0
    deprecated: date | None = None
    """The day (UTC) from which on its users are told that it will end."""
    shutdown: date | None = None
    """The day from whose beginning (UTC) on it is not served any more."""
    replacement: str = ""
    """The model to use instead, once it ends: a snapshot or an alias."""
    hears: str = ""
    """The model that transcribes recordings in messages for a chat model, by its name; none if empty."""
    dimensions: tuple[int, ...] = ()
    """How long the vectors of an embedding model may be: its own length, and shorter ones that it was trained
    to be cut to (Matryoshka)."""
    prices: tuple[Price, ...] = ()
    """By day, the earliest first; free before the first."""


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """A function that a model may call; `parameters` is the JSON schema of an object, None without any."""

    name: str
    description: str = ""
    parameters: Any = None
    strict: bool = False
    """Whether every word of the schema is to be held to, or the request refused."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a function that an assistant made before; `arguments` as it wrote them, JSON as a rule."""

    id: str
    name: str
    arguments: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a conversation. `content` is plain text: parts have been joined, null is empty.

    A `tool` message is the result of a call that the assistant made in the message before: the one with the
    id `call_id`.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    name: str | None = None
    calls: tuple[Call, ...] = ()
    call_id: str = ""


class Form(msgspec.Struct, frozen=True):
    """What an answer has to be: of a grammar (GBNF), from its beginning or from where it has `trigger`.

    `wish` is what it was made of.
    """

    grammar: str
    trigger: str = ""
    wish: Wish | None = None


class ChatJob(msgspec.Struct, frozen=True, kw_only=True):
    """One chat request, validated: everything an engine is told, and nothing else."""

    id: str
    model: str
    """As the client named it: an alias or a snapshot."""
    messages: tuple[Message, ...]
    temperature: float = 1.0
    top_p: float = 1.0
    n: int = 1
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = {}
    seed: int | None = None
    logprobs: bool = False
    top_logprobs: int = 0
    functions: tuple[Function, ...] = ()
    """What the model is told that it may call. If there are any, calls are looked for in its answer."""
    form: Form | None = None
    organization: str = ""
    """Whose it is, as `Caller.tenant`: what an engine keeps of a prompt is for later prompts of the same one
    alone."""

    @property
    def needs(self) -> frozenset[Feature]:
        """What an engine has to be able to do."""
        wanted: dict[Feature, bool] = {
            "logit_bias": bool(self.logit_bias),
            "logprobs": self.logprobs,
            "top_logprobs": self.logprobs and self.top_logprobs > 0,
            "grammar": self.form is not None and not self.form.trigger,
            "lazy_grammar": self.form is not None and bool(self.form.trigger),
        }
        return frozenset(feature for feature, needed in wanted.items() if needed)

    @property
    def wishes(self) -> frozenset[Feature]:
        """What an engine is chosen for, if there is one that can, and is done without if there is none."""
        return frozenset() if self.seed is None else frozenset({"seed"})


RawPrompt = str | tuple[int, ...]
"""What a model is to go on with as it is: a text, or tokens by id. An empty text begins a document."""


class CompletionJob(msgspec.Struct, frozen=True, kw_only=True):
    """One request to go on with some prompts, each on its own, and `each.n` times."""

    prompts: tuple[RawPrompt, ...]
    each: ChatJob
    """How each is gone on with: a job without messages."""
    echo: bool = False
    """Whether the text of each answer begins with its prompt."""


class EmbeddingJob(msgspec.Struct, frozen=True, kw_only=True):
    """One request for the vectors of some texts."""

    model: str
    """As the client named it: an alias or a snapshot."""
    inputs: tuple[RawPrompt, ...]
    dimensions: int | None = None
    """How long the vectors shall be; None for the model's own length."""


class TopLogprob(msgspec.Struct, frozen=True):
    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(msgspec.Struct, frozen=True):
    """One generated token with its natural-log probability and the likeliest alternatives."""

    token: str
    logprob: float
    bytes: list[int] | None
    top_logprobs: list[TopLogprob]


class CallDelta(msgspec.Struct, frozen=True):
    """A piece of a function call; the first of a call has its id and name."""

    index: int
    """Of the call, within its choice."""
    id: str = ""
    name: str = ""
    arguments: str = ""


class Delta(msgspec.Struct, frozen=True):
    """A piece of one choice's answer; the last of a choice carries its finish reason."""

    index: int
    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    completion_tokens: int = 0
    """Tokens of this choice that the engine has counted, up to and with this piece."""
    calls: tuple[CallDelta, ...] = ()


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a request consumed, counted by the engine: tokens for chat, seconds of audio for speech."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


class SpeechJob(msgspec.Struct, frozen=True, kw_only=True):
    """One recording to transcribe, or to translate into English."""

    id: str
    organization: str
    """Whose it is, by id: an engine that serves many at once is fair between them."""
    model: str
    """As the client named it: an alias or a snapshot. An engine is told the snapshot."""
    file: Path
    """The upload, received whole and not yet decoded."""
    task: SpeechTask = "transcribe"
    language: str | None = None
    """ISO 639-1; None lets the model decide."""
    prompt: str | None = None
    temperature: float = 0.0
    """0 begins greedy and falls back to higher temperatures when the result looks wrong."""
    words: bool = False
    """Whether word timestamps are wanted."""


class Word(msgspec.Struct, frozen=True):
    word: str
    start: float
    end: float


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of speech, as Whisper reports it; `seek` is in frames of 10 ms."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    words: list[Word] = []


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """So many seconds of a recording were heard, and gave no segment that could be told by now."""

    seconds: float


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a recording once it has been read to its end."""

    language: str
    """ISO 639-1; what others than we serve may have said an English name, or nothing: `unknown`."""
    duration: float
    usage: Usage


ObservedKind = Literal["chat", "completion", "embedding", "transcription", "translation"]


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One request that was taken and its answer, as whoever watches the service sees them: content, so it is
    never logged, and kept only as its organization's policy says. `request_id` as `x-request-id` shows it."""

    request_id: str
    caller: Caller
    kind: ObservedKind
    snapshot: str
    asked: bytes
    """The request as JSON: a body as it was sent, or the fields of a form."""
    answered: bytes
    """The answer as JSON, streamed or not, as far as it came: to its end if `whole`. Empty: none."""
    heard: Mapping[str, str] = {}
    """What is said in recordings, by their places: `messages[0].content[1]`."""
    recording: Path | None = None
    """The upload, which is there for as long as an observer's call lasts."""
    whole: bool
    began_at: float
    """Unix seconds."""
