"""Every setting, in one frozen table: `--help`, the documentation page and validation are made from it.

A value is looked for in this order, the later one winning: the default here, the file
(`ANTIPHON_HOME/antiphon.toml`), the environment (`ANTIPHON_<NAME>`), the flag (`--<name>`).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from antiphon.cores import cores
from antiphon.errors import ConfigurationError
from antiphon.home import FILE_NAME, PREFIX, home_folder, said

DATABASE_NAME = "antiphon.db"
"""Of SQLite, in the data folder."""
KEYS_NAME = "content-keys.db"
"""Likewise, of the keys of what is kept."""

LogLevel = Literal["debug", "info", "warning", "error"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator may decide. Paths are absolute, sizes are bytes, times are seconds."""

    home: Annotated[
        str, Meta(description="Data folder: database, models, logs; empty means ~/.local/share/antiphon")
    ] = ""
    host: Annotated[str, Meta(description="Address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 takes a free one")] = 8000
    database: Annotated[
        str, Meta(description="SQLAlchemy address of the database; empty means SQLite in the data folder")
    ] = ""
    content_keys: Annotated[
        str,
        Meta(
            description="SQLAlchemy address of the keys of what is kept, another database than that; "
            "empty means SQLite in the data folder"
        ),
    ] = ""
    content_storage: Annotated[
        str,
        Meta(
            pattern=r"^$|^s3://[^/\s]+(/[^\s]*)?$",
            description="Where kept recordings lie: s3://bucket/prefix, or empty for the data folder",
        ),
    ] = ""
    valkey: Annotated[
        str,
        Meta(
            pattern=r"^$|^(valkey|valkeys|unix)://",
            description="Address of a Valkey that gateway processes share limits on; empty: in memory",
        ),
    ] = ""
    processes: Annotated[int, Meta(ge=1, le=64, description="Gateway processes on this machine")] = 1
    runtime: Annotated[
        Literal["local", "ray"], Meta(description="Where engines run: on this machine, or on a Ray cluster")
    ] = "local"
    ray_address: Annotated[
        str, Meta(description="Address of the Ray cluster, as 10.0.0.1:6379; auto: the one of this machine")
    ] = "auto"
    log_level: Annotated[LogLevel, Meta(description="How much is logged")] = "info"
    log_format: Annotated[Literal["text", "json"], Meta(description="Lines, or one JSON object a line")] = (
        "text"
    )
    otlp_endpoint: Annotated[
        str,
        Meta(
            pattern=r"\A(https?://[^\s?#]+)?\Z",
            description="Where traces go, by OTLP over HTTP, as http://127.0.0.1:4318; empty: nowhere",
        ),
    ] = ""
    public_metrics: Annotated[bool, Meta(description="Whether /metrics is open; false asks for a key")] = True
    public_models: Annotated[bool, Meta(description="Whether /models is open; false asks for a key")] = False
    public_status: Annotated[
        bool, Meta(description="Whether /status and its feed are open; false asks for a key")
    ] = True
    public_url: Annotated[
        str,
        Meta(
            pattern=r"\A(https?://[^\s/?#@]+)?\Z",
            description="Address where people reach it, as https://ai.example.com; empty: the one asked for",
        ),
    ] = ""
    session_hours: Annotated[
        float, Meta(gt=0, le=8760, description="Hours until a browser has to sign in to the console again")
    ] = 168.0
    oidc_issuer: Annotated[
        str,
        Meta(
            pattern=r"\A(https://[^\s?#@]+|http://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?(/[^\s?#]*)?)?\Z",
            description="OpenID Connect provider for sign-in, as https://accounts.example.com; empty: none",
        ),
    ] = ""
    oidc_client: Annotated[str, Meta(description="Client id that the provider knows the console by")] = ""
    oidc_secret_file: Annotated[str, Meta(description="File with the client's secret")] = ""
    oidc_name: Annotated[str, Meta(description="What the sign-in page calls the provider")] = "SSO"
    webhook: Annotated[
        str,
        Meta(
            pattern=r"\A(https://[^\s/?#@]+(/[^\s#]*)?"
            r"|http://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?(/[^\s#]*)?)?\Z",
            description="Address that is told of switchovers, ends of models and flags: https, or http on "
            "this machine; empty: none",
        ),
    ] = ""
    webhook_days: Annotated[
        int, Meta(ge=0, le=365, description="Days before a change on which the webhook is reminded of it")
    ] = 7

    uptime_objective: Annotated[
        float, Meta(ge=50, le=99.999, description="Percent of requests that are to be answered well")
    ] = 99.9
    first_token_objective: Annotated[
        float, Meta(gt=0, description="Seconds within which a stream of chat is to have begun")
    ] = 10.0
    chat_objective: Annotated[
        float,
        Meta(gt=0, description="Seconds for a chat answer in one piece, embeddings or moderation to count"),
    ] = 60.0
    speech_objective: Annotated[
        float,
        Meta(gt=0, description="Seconds likewise for each second of a recording; ten for a short one"),
    ] = 1.0
    probe_seconds: Annotated[
        float, Meta(ge=0, le=3600, description="Seconds between two probes of chat and speech; 0: none")
    ] = 60.0
    moderation_scorers: Annotated[
        str, Meta(description="What scores texts: rules, classifier, endpoint, by blanks; empty: nothing")
    ] = "rules classifier"
    moderation_url: Annotated[
        str,
        Meta(
            pattern=r"\A(https://[^\s/?#@]+/[^\s?#]*|http://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?/[^\s?#]*)?\Z",
            description="Address that the scorer `endpoint` asks: one of OpenAI's form, with its path",
        ),
    ] = ""
    moderation_model: Annotated[str, Meta(description="Model that it is asked for; empty: its default")] = ""
    moderation_key_file: Annotated[str, Meta(description="File with the key that it is shown")] = ""
    monitor: Annotated[
        bool, Meta(description="Whether requests and answers are scored, off their path, and flagged")
    ] = True
    monitor_rate: Annotated[
        float, Meta(gt=0, le=1000, description="Requests a second whose content is scored, at most")
    ] = 20.0
    monitor_queue: Annotated[
        int, Meta(ge=1, le=100_000, description="Requests that may wait to be scored; more are not")
    ] = 1000
    anomaly_factor: Annotated[
        float, Meta(ge=2, le=1000, description="Times its usual rate at which a key is flagged")
    ] = 20.0
    anomaly_repeats: Annotated[
        int, Meta(ge=2, le=10_000, description="Times an hour that one recording is sent until it is flagged")
    ] = 20

    requests_per_minute: Annotated[
        int, Meta(ge=0, description="Requests a project may send a minute to a model; 0 sets no limit")
    ] = 3000
    tokens_per_minute: Annotated[
        int, Meta(ge=0, description="Tokens of prompts and answers a minute, likewise; 0 sets no limit")
    ] = 0
    audio_per_minute: Annotated[
        int, Meta(ge=0, description="Seconds of sound a minute, likewise; 0 sets no limit")
    ] = 0
    uploads_per_minute: Annotated[
        int, Meta(ge=0, description="Megabytes of recordings a minute, likewise; 0 sets no limit")
    ] = 0
    requests_per_day: Annotated[
        int, Meta(ge=0, description="Requests a day of UTC, likewise; 0 sets no limit")
    ] = 0
    tokens_per_day: Annotated[
        int, Meta(ge=0, description="Tokens a day of UTC, likewise; 0 sets no limit")
    ] = 0
    concurrent_requests: Annotated[
        int, Meta(ge=0, description="Requests running or waiting at once, likewise; 0 sets no limit")
    ] = 0
    queue_total: Annotated[
        int,
        Meta(ge=1, description="Requests that may wait for an engine; as many at each dedicated instance"),
    ] = 64
    queue_per_organization: Annotated[
        int, Meta(ge=1, description="Requests of one organization that may wait for an engine")
    ] = 16
    uploads_at_once: Annotated[
        int, Meta(ge=2, description="Uploads that may arrive at once; half of them from one organization")
    ] = 128
    queue_seconds: Annotated[float, Meta(gt=0, description="Longest wait for an engine, in seconds")] = 30.0

    json_bytes: Annotated[int, Meta(ge=1024, description="Largest JSON body, in bytes")] = 4_194_304
    upload_bytes: Annotated[int, Meta(ge=1024, description="Largest recording, in bytes")] = 26_214_400
    header_bytes: Annotated[
        int, Meta(ge=1024, description="Largest request line and headers together, in bytes")
    ] = 16_384
    header_seconds: Annotated[float, Meta(gt=0, description="Longest wait for a request's headers")] = 10.0
    body_seconds: Annotated[float, Meta(gt=0, description="Longest pause while a body is received")] = 10.0
    body_rate: Annotated[
        int, Meta(ge=1, description="Slowest body accepted, in bytes a second, once the first pause is over")
    ] = 1024
    send_seconds: Annotated[
        float, Meta(gt=0, description="Longest wait for a client to read what was sent")
    ] = 60.0
    drain_seconds: Annotated[
        float, Meta(gt=0, description="Longest wait for running requests at shutdown")
    ] = 30.0
    restart_seconds: Annotated[
        float,
        Meta(gt=0, description="Longest wait at a restart for the new server; after it the old one goes on"),
    ] = 600.0
    handover_seconds: Annotated[
        float,
        Meta(gt=0, description="Longest time that the old server lets its requests go on after a restart"),
    ] = 900.0

    chat_seconds: Annotated[
        float,
        Meta(gt=0, description="Longest time for one chat answer, or for the embeddings of one request"),
    ] = 600.0
    speech_seconds: Annotated[
        float, Meta(gt=0, description="Longest wait for the next segment of a transcript")
    ] = 120.0
    speech_answer_seconds: Annotated[
        float,
        Meta(gt=0, description="Longest expected time for a transcript that is not streamed, in seconds"),
    ] = 290.0
    audio_seconds: Annotated[float, Meta(gt=0, description="Longest recording, in seconds of sound")] = 3600.0
    speech_memory: Annotated[
        int,
        Meta(
            ge=0,
            description="Memory for all speech models, a GPU's if they run there, in bytes; "
            "0 means half of the machine's",
        ),
    ] = 0
    speech_device: Annotated[
        Literal["auto", "cpu", "cuda"],
        Meta(description="Where speech models run; auto takes a GPU if there is one"),
    ] = "auto"
    speech_precision: Annotated[
        Literal["auto", "int8", "int8_float16", "float16", "bfloat16", "float32"],
        Meta(description="Arithmetic of speech models; auto is int8 on a processor and float16 on a GPU"),
    ] = "auto"
    speech_beam: Annotated[
        int, Meta(ge=1, le=10, description="Beams of a transcription; fewer are faster and less exact")
    ] = 5
    speech_window: Annotated[
        float, Meta(ge=5, le=28, description="Longest piece of a recording heard at once, in seconds")
    ] = 15.0
    speech_pad: Annotated[
        float, Meta(ge=0, le=25, description="Silence that a piece is heard with at its end, in seconds")
    ] = 3.0
    speech_floor: Annotated[
        float, Meta(ge=1, le=30, description="Shortest context a piece is heard in, in seconds")
    ] = 5.0
    speech_step: Annotated[
        float, Meta(ge=0.1, le=30, description="Steps by which that context is longer for a longer piece")
    ] = 1.0
    speech_batch_seconds: Annotated[
        float, Meta(gt=0, le=60, description="Longest computation that others wait for, in seconds")
    ] = 0.5
    upstreams: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^\s/?#@]+(\s+https?://[^\s/?#@]+)*)?$",
            description="Servers that may be asked for models, as http://10.0.0.5:8000, with blanks between",
        ),
    ] = ""
    vllm_command: Annotated[str, Meta(min_length=1, description="Program of vLLM, by name or path")] = "vllm"
    threads: Annotated[
        int, Meta(ge=0, description="Processor threads for each engine; 0 means every core it may use")
    ] = 0

    engine_start_seconds: Annotated[
        float, Meta(gt=0, description="Longest wait for an engine to become ready")
    ] = 120.0
    engine_idle_seconds: Annotated[
        float,
        Meta(gt=0, description="Idle time after which an engine that was started on demand is ended"),
    ] = 600.0
    engine_silence_seconds: Annotated[
        float, Meta(gt=0, description="Silence after which an engine is ended and started anew")
    ] = 10.0

    engine_memory: Annotated[
        int,
        Meta(
            ge=0, description="Memory that an engine may take for its data, in bytes; 0: as the machine has"
        ),
    ] = 0
    engine_idle_memory: Annotated[
        int,
        Meta(
            ge=0,
            description="Bytes that an idle engine may hold beyond what it began with and its models' size; "
            "with more it is started anew; 0: never",
        ),
    ] = 1_073_741_824

    @property
    def cores(self) -> int:
        """Processor threads for each engine."""
        return self.threads or cores()

    @property
    def home_path(self) -> Path:
        return Path(self.home)

    @property
    def server(self) -> str:
        """What this server is called among those that share a database: its host, and its data folder."""
        return f"{socket.gethostname()}:{self.home_path.absolute()}"

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite+aiosqlite:///{self.home_path / DATABASE_NAME}"

    @property
    def content_keys_url(self) -> str:
        return self.content_keys or f"sqlite+aiosqlite:///{self.home_path / KEYS_NAME}"


class Row(msgspec.Struct, frozen=True):
    """One setting as the help, the documentation and the command line show it."""

    name: str
    kind: Any
    default: Any
    help: str

    @property
    def environment(self) -> str:
        return PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


def rows() -> list[Row]:
    """Every setting, in the order of the table."""
    hints = get_type_hints(Settings, include_extras=True)
    defaults = Settings()
    return [
        Row(name, hints[name], getattr(defaults, name), _description(hints[name]))
        for name in Settings.__struct_fields__
    ]


def _description(kind: Any) -> str:
    texts = [m.description for m in kind.__metadata__ if isinstance(m, Meta) and m.description]
    return texts[-1]


def load(flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings in force. Raises `ConfigurationError`, which names the setting and where it was set."""
    given = _given(flags, environment)
    values = {row.name: _checked(row, found, source) for row, source, found in given}
    return Settings(**values | {"home": str(home_folder(flags, environment))})


def sources(
    flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The settings that are not left to their defaults, with the place whose value is in force."""
    return {row.name: source for row, source, _ in _given(flags, environment)}


def _given(
    flags: Mapping[str, Any] | None, environment: Mapping[str, str] | None
) -> list[tuple[Row, str, Any]]:
    """Each value that was given: its setting, where, and what; the one in force comes last."""
    environment = os.environ if environment is None else environment
    home = home_folder(flags, environment)
    file = said(home, Settings.__struct_fields__)
    return [
        (row, source, found)
        for row in rows()
        for source, found in (
            (str(home / FILE_NAME), file.get(row.name)),
            (row.environment, environment.get(row.environment)),
            (row.flag, (flags or {}).get(row.name)),
        )
        if found is not None
    ]


def _checked(row: Row, value: Any, source: str) -> Any:
    try:
        return msgspec.convert(value, row.kind, strict=not isinstance(value, str))
    except msgspec.ValidationError as problem:
        raise ConfigurationError(
            f"{source}: {row.name}: {problem}",
            fix=f"{row.name}: {row.help[0].lower() + row.help[1:]} (default {row.default!r})",
        ) from None
