"""From a request for embeddings as sent to the job that an engine is given."""

from __future__ import annotations

from antiphon.api.completion_job import raw_prompts
from antiphon.api.validation import refuse_unserved
from antiphon.errors import InvalidRequest
from antiphon.values import EmbeddingJob
from antiphon.wire import fields
from antiphon.wire.embeddings import EmbeddingRequest

MOST_INPUTS = 2048


def embedding_job(request: EmbeddingRequest) -> EmbeddingJob:
    """The job. Raises `InvalidRequest`, naming the parameter."""
    refuse_unserved(request, fields.EMBEDDING)
    inputs = raw_prompts(request.input, "input")
    if len(inputs) > MOST_INPUTS:
        raise InvalidRequest(
            f"Invalid value for 'input': {len(inputs)} inputs are more than the {MOST_INPUTS} that a request "
            "may have.",
            param="input",
            code="invalid_value",
        )
    return EmbeddingJob(model=request.model, inputs=inputs, dimensions=request.dimensions)
