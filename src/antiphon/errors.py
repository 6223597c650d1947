"""The one tree of errors. Each member knows its HTTP status, `type`, `code`, `param` and retry advice.

    AntiphonError
    ├── InvalidRequest 400            a field is wrong; `param` names it
    │   ├── UnknownParameter          a field that does not exist
    │   ├── UnsupportedParameter      a field or value that exists, but not here (yet)
    │   ├── ContextLengthExceeded     prompt, or prompt and answer, do not fit the model
    │   ├── InvalidAudio              not a recording, or one without sound
    │   ├── AudioTooShort             under 0.1 seconds
    │   └── CapacityTaken             no machine has room for what is to be reserved
    ├── Unauthenticated 401           no key, a wrong one, or a revoked one
    ├── Forbidden 403                 a key that may not do this
    │   └── Suspended                 a key of an organization that is suspended
    ├── NotFound 404                  a path that is not served
    │   └── ModelNotFound             a model that is not served
    ├── MethodNotAllowed 405          a path that is served, by another method
    ├── RequestTimeout 408            the request, or the work it asked for, took too long
    ├── TooLarge 413                  a body or a recording over the limit
    │   └── TranscriptionTooSlow      a transcript that would take too long to wait for as a whole: stream it
    ├── UnsupportedMediaType 415      a body that is neither JSON nor the form asked for
    ├── HeadersTooLarge 431           request line and headers over the limit
    ├── RateLimited 429               a rate of requests, tokens or sound, or too many at once
    ├── InsufficientQuota 429         a budget or a prepaid balance that the request would pass
    ├── ClientGone 499                never sent: nobody is left to read it
    ├── InternalError 500             a bug of ours; the text says nothing of the inside
    ├── Unavailable 503               no engine, too many waiting, or shutting down
    │   ├── InstanceElsewhere         what its organization reserved runs on another machine alone
    │   └── EngineFailed              an engine broke off during this request
    │       ├── EngineLost            it cannot be reached, or its connection broke
    │       └── EngineRefused         it says that the request is at fault
    ├── StorageFull 507               no space left on the disk
    └── ConfigurationError            at start or on the command line; `fix` says what to do

Shapes: OpenAI's envelope, `{"error": {"message", "type", "param", "code"}}`, all four keys, always.
"""

from __future__ import annotations

from typing import ClassVar, Literal


class AntiphonError(Exception):
    """An error that may be shown to the caller: its text holds no prompt, transcript, key or inner detail.

    Attributes: `status` HTTP status; `type` and `code` as OpenAI names them; `param` the field at fault;
    `retry_after` seconds to wait, if waiting helps; `should_retry` what `x-should-retry` says, if anything.
    """

    status: ClassVar[int] = 500
    type: str = "server_error"
    default_code: ClassVar[str | None] = None
    should_retry: bool | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code if code is not None else self.default_code
        self.retry_after = retry_after


class InvalidRequest(AntiphonError):
    status = 400
    type = "invalid_request_error"


class UnknownParameter(InvalidRequest):
    default_code = "unknown_parameter"


class UnsupportedParameter(InvalidRequest):
    default_code = "unsupported_parameter"


class ContextLengthExceeded(InvalidRequest):
    default_code = "context_length_exceeded"

    def __init__(self, *, limit: int, prompt: int, completion: int = 0, param: str = "messages") -> None:
        """`prompt` and `completion` in tokens; `param` is what the prompt was made from."""
        detail = f" ({prompt} in the {param}, {completion} in the completion)" if completion else ""
        super().__init__(
            f"This model's maximum context length is {limit} tokens. However, you requested "
            f"{prompt + completion} tokens{detail}. Please reduce the length of the {param}"
            f"{' or completion' if completion else ''}.",
            param=param,
        )


class InvalidAudio(InvalidRequest):
    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message, param="file", code=code)


class AudioTooShort(InvalidAudio):
    default_code = "audio_too_short"

    def __init__(self) -> None:
        super().__init__("Audio file is too short. Minimum audio length is 0.1 seconds.")


class CapacityTaken(InvalidRequest):
    default_code = "capacity_taken"


class Unauthenticated(AntiphonError):
    status = 401
    type = "invalid_request_error"
    default_code = "invalid_api_key"


class Forbidden(AntiphonError):
    status = 403
    type = "invalid_request_error"
    default_code = "insufficient_permissions"
    should_retry = False


class Suspended(Forbidden):
    default_code = "organization_suspended"

    def __init__(self) -> None:
        super().__init__(
            "Your organization is suspended: its keys are not served. Its owners see why, and may appeal, "
            "with an admin key at /v1/organization/flags."
        )


class NotFound(AntiphonError):
    status = 404
    type = "invalid_request_error"


class ModelNotFound(NotFound):
    default_code = "model_not_found"

    def __init__(self, model: str, hint: str = "") -> None:
        super().__init__(f"The model '{model[:200]}' does not exist or you do not have access to it.{hint}")


class MethodNotAllowed(AntiphonError):
    status = 405
    type = "invalid_request_error"
    default_code = "method_not_supported"


class RequestTimeout(AntiphonError):
    status = 408
    type = "timeout"
    default_code = "timeout"
    should_retry = False


class TooLarge(AntiphonError):
    """413, with the type the API used in 2023 (CONTRACT §3)."""

    status = 413
    type = "server_error"


class TranscriptionTooSlow(TooLarge):
    default_code = "transcription_too_slow"

    def __init__(self) -> None:
        super().__init__(
            "This recording would take too long to transcribe for an answer in one piece. "
            "Send 'stream=true' to receive the transcript while it is made.",
            param="file",
        )


class UnsupportedMediaType(AntiphonError):
    status = 415
    type = "invalid_request_error"
    default_code = "unsupported_media_type"


class HeadersTooLarge(AntiphonError):
    status = 431
    type = "invalid_request_error"
    default_code = "headers_too_large"


class RateLimited(AntiphonError):
    """429: what is limited is `requests` (sound and requests at once among them) or `tokens`."""

    status = 429
    type = "requests"
    default_code = "rate_limit_exceeded"

    def __init__(
        self,
        message: str,
        *,
        type: Literal["requests", "tokens"] = "requests",
        retry_after: float | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.type = type
        self.should_retry = should_retry


class InsufficientQuota(AntiphonError):
    """429 that waiting does not cure: clients are told not to try again."""

    status = 429
    type = "insufficient_quota"
    default_code = "insufficient_quota"
    should_retry = False


class ClientGone(AntiphonError):
    status = 499


class InternalError(AntiphonError):
    status = 500
    default_code = "internal_error"


class Unavailable(AntiphonError):
    status = 503
    type = "overloaded_error"
    default_code = "server_is_overloaded"


class InstanceElsewhere(Unavailable):
    default_code = "instance_elsewhere"

    def __init__(self, snapshot: str, host: str) -> None:
        super().__init__(
            f"The dedicated instance of this organization for '{snapshot}' runs on the machine '{host}': "
            "send the request there, or let the instance spill over.",
            retry_after=1,
        )


class EngineFailed(Unavailable):
    type = "server_error"
    default_code = "engine_failed"


class EngineLost(EngineFailed):
    """For whoever asks whether it is there at all."""


class EngineRefused(EngineFailed):
    """For whoever knows what of the request it may be; to a client it is a failure like any other."""


class StorageFull(AntiphonError):
    status = 507
    default_code = "storage_full"


class ConfigurationError(AntiphonError):
    """Something about this machine or its settings; shown on the command line as one line and its fix."""

    default_code = "configuration_error"

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix
