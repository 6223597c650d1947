"""What every engine is to the platform: a process to launch, and a client that takes and yields values.

An engine file in this package defines one `ENGINE: EngineKind`. Nothing else has to be registered: the
composition root and the contract tests find it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from antiphon.address import Address
from antiphon.settings import Settings
from antiphon.values import (
    ChatJob,
    Delta,
    Deployment,
    Feature,
    Format,
    Function,
    Message,
    Progress,
    Prompt,
    RawPrompt,
    Segment,
    SpeechJob,
    Task,
    Transcript,
    Usage,
)


class Engine(Protocol):
    """A connection to one running engine process."""

    async def probe(self) -> Collection[str]:
        """Return once the process has said that it would serve a request now, or raise `EngineFailed`.

        What is returned are the snapshots that it does not serve, since their models cannot be used.
        It answers from the loop that does the work, so a frozen engine does not answer at all: the caller
        sets the deadline.
        """

    async def close(self) -> None:
        """Drop every connection. The process itself belongs to the runtime."""


class ChatEngine(Engine, Protocol):
    async def prepare(self, messages: Sequence[Message], functions: Sequence[Function] = ()) -> Prompt:
        """Render and tokenize a conversation; text of the user can never become a special token.

        The model is told of `functions`, and to write calls of them as `grammar.calls` has it.
        """

    async def tokenize(self, prompts: Sequence[RawPrompt]) -> list[Prompt]:
        """Prompts without a template, one for each; no text becomes a special token.

        Ids are taken as they are, those of special tokens too. Raises `InvalidRequest`, naming `prompt`, for
        one that the vocabulary does not have.
        """

    async def continued(self, prompt: Prompt, text: str) -> Prompt:
        """A prompt of tokens, and what was written after it so far: to go on with an answer.

        Raises `EngineFailed`, as an engine does that does not read prompts as tokens.
        """

    def chat(self, job: ChatJob, prompt: Prompt) -> AsyncGenerator[Delta | Usage, None]:
        """Generate: pieces of `job.n` choices as they come, last one `Usage`.

        Closing the iterator cancels the generation in the engine. Raises `EngineFailed` when the engine
        breaks off: an iterator that ends without `Usage` does not exist.
        """


class EmbeddingEngine(Engine, Protocol):
    async def tokenize(self, inputs: Sequence[RawPrompt]) -> list[tuple[int, ...]]:
        """The tokens of each input, with those that the model puts around texts; no text becomes a special.

        Ids are taken as they are. Raises `InvalidRequest`, naming `input`, for one that the vocabulary does
        not have.
        """

    def embed(self, inputs: Sequence[tuple[int, ...]]) -> AsyncGenerator[bytes, None]:
        """A vector for each input, in their order: little-endian 32-bit floats, of length 1 together.

        Closing the iterator cancels the rest. Raises `EngineFailed` when the engine breaks off.
        """


class OpenRecording(Protocol):
    """A recording that an engine has looked at and holds; nothing of it was transcribed yet."""

    @property
    def seconds(self) -> float:
        """Its length as its container tells. The sound may turn out a little longer, never much."""

    @property
    def expected(self) -> float:
        """Seconds until its last segment, as the engine predicts, with the work of others before it."""

    def transcribe(self) -> AsyncGenerator[Segment | Progress | Transcript, None]:
        """Transcribe or translate, once: segments as they come, `Progress` where sound was heard that gave
        none, last one `Transcript`.

        Raises `TooLarge` or `InvalidAudio` when the sound is not what the container said, and `EngineFailed`
        when the engine breaks off: an iterator that ends without `Transcript` does not exist.
        """


class SpeechEngine(Engine, Protocol):
    def open(self, job: SpeechJob) -> AbstractAsyncContextManager[OpenRecording]:
        """The recording of a job, which the engine holds for as long as the block runs; leaving it cancels.

        Raises what is wrong with the recording or its language, or `EngineFailed`.
        """


def _nothing(settings: Settings) -> str:
    return ""


def _no_command(deployments: Sequence[Deployment], settings: Settings, address: Address) -> list[str]:
    raise AssertionError("others run it")


class EngineKind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of engine: how to launch it, or where it is reached, and how to talk to it.

    `command` gives the argument list of a process that listens at the address given, and serves the
    deployments given; `connect` gives the client (`ChatEngine`, `SpeechEngine` or
    `EmbeddingEngine`, by `task`) for a process listening there.

    `shared`: whether one process serves all the deployments of the kind; otherwise each has one of its own.

    `reads`: the formats of models that it takes, as they are or through its `preparation`.

    `counts`: whether every `Delta` says how many tokens the engine has generated. Of an engine that does not
    count along, an answer that is aborted pays one token for each piece of text that was handed to the
    client; one that is whole pays what the engine counted at its end.

    `cache` tells for how many tokens one process has room, of all its requests together; 0 where each slot
    has room for a whole context of its own, or those that find none wait in the engine.

    `tells_calls`: whether a chat engine gives calls of functions as such; otherwise they are looked for in
    its text, where models write them as `grammar.calls` has it.

    `reached`, for what others run, tells where one replica of a deployment is: then there is no `command`. It
    raises `ConfigurationError` for what the settings do not allow, or a key that cannot be read; it blocks.

    `apart` is what its process is cut off from: `all`, the network and the data folder; `files`, the data
    folder alone, where it has to reach others; `nothing`, for what others publish, with devices of its own.

    `version` is of the library that computes: another one may answer otherwise.

    `features` is what a chat engine can do of what not all can. `absent` tells in a few words why it is not
    to be had on this machine, `unsuited` why another engine is better on it, if there is one for the model;
    nothing if it is there, and good here.

    `preparation`, for an engine that does not read model files as they are published, gives the argument
    list of a process that makes the second path, a folder, of the first, a model file or folder; see
    `catalogue.preparing`. It writes the whole folder or none, and on stdout a JSON object
    `{"step", "done", "total"}` for each step forward; if the engine cannot take the model, it ends with code
    2 and one line on stderr. What was made by another `preparation_version` is made anew.
    """

    name: str
    task: Task
    reads: frozenset[Format]
    apart: Literal["all", "files", "nothing"] = "all"
    counts: bool = True
    shared: bool = False
    tells_calls: bool = False
    reached: Callable[[Deployment, int, Settings], Address] | None = None
    command: Callable[[Sequence[Deployment], Settings, Address], list[str]] = _no_command
    connect: Callable[[Sequence[Deployment], Settings, Address], Engine]
    cache: Callable[[Deployment], int] = lambda deployment: 0
    version: Callable[[Settings], str] = _nothing
    features: frozenset[Feature] = frozenset()
    absent: Callable[[Settings], str] = _nothing
    unsuited: Callable[[Settings], str] = _nothing
    preparation: Callable[[Path, Path], list[str]] | None = None
    preparation_version: str = ""
