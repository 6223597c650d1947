"""From what requests for text have in common to a job."""

from __future__ import annotations

from antiphon.errors import InvalidRequest
from antiphon.values import ChatJob
from antiphon.wire.sampling import SamplingRequest


def sampled(request: SamplingRequest, job_id: str) -> ChatJob:
    """How tokens are chosen, as a job without messages, with defaults in place of nulls.

    Raises `InvalidRequest`, naming the parameter.
    """
    if request.stream_options is not None and not request.stream:
        raise InvalidRequest(
            "'stream_options' needs 'stream' to be true.",
            param="stream_options",
            code="invalid_parameter_combination",
        )
    return ChatJob(
        id=job_id,
        model=request.model,
        messages=(),
        temperature=1.0 if request.temperature is None else request.temperature,
        top_p=1.0 if request.top_p is None else request.top_p,
        n=request.n or 1,
        stop=_stop(request.stop),
        max_tokens=request.max_tokens,
        presence_penalty=request.presence_penalty or 0.0,
        frequency_penalty=request.frequency_penalty or 0.0,
        logit_bias={int(token): bias for token, bias in (request.logit_bias or {}).items()},
        seed=request.seed,
    )


def _stop(stop: str | list[str] | None) -> tuple[str, ...]:
    texts = [stop] if isinstance(stop, str) else stop or []
    return tuple(text for text in texts if text)
