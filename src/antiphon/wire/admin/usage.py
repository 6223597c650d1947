"""Usage and costs, in pages of buckets. Times are unix seconds; an empty filter lets everything through."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from antiphon.wire.admin.lists import Time

Width = Literal["1m", "1h", "1d"]
Filter = Annotated[list[str], Meta(max_length=100)]
Number = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "number"})]
"""A decimal number with every digit that it has, which a float could not hold."""


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From `start_time` until before `end_time`, or until now; `page` is the `next_page` before this one."""

    start_time: Time
    end_time: Time | None = None
    limit: Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": 1440})] | None = None
    """At most so many as the width allows; the widest has fewer."""
    page: str | None = None
    project_ids: Filter = []


class UsageQuery(PageQuery, frozen=True, kw_only=True):
    """`models` are snapshots, by their dated ids."""

    bucket_width: Width = "1d"
    group_by: list[Literal["project_id", "user_id", "api_key_id", "model"]] = []
    user_ids: Filter = []
    api_key_ids: Filter = []
    models: Filter = []


class CompletionsUsageQuery(PageQuery, frozen=True, kw_only=True):
    """`models` are snapshots, by their dated ids. There are no batches here: `batch=true` finds nothing."""

    bucket_width: Width = "1d"
    group_by: list[Literal["project_id", "user_id", "api_key_id", "model", "batch", "service_tier"]] = []
    user_ids: Filter = []
    api_key_ids: Filter = []
    models: Filter = []
    batch: bool | None = None


class OtherUsageQuery(PageQuery, frozen=True, kw_only=True):
    """Of what is not served here, and therefore never used: every filter is taken, and finds nothing."""

    bucket_width: Width = "1d"
    group_by: list[str] = []
    user_ids: Filter = []
    api_key_ids: Filter = []
    models: Filter = []
    sizes: Filter = []
    sources: Filter = []
    context_levels: Filter = []


class CostsQuery(PageQuery, frozen=True, kw_only=True):
    """`line_items` as they are answered, for instance `<snapshot>, input`."""

    bucket_width: Literal["1d"] = "1d"
    group_by: list[Literal["project_id", "user_id", "api_key_id", "line_item"]] = []
    api_key_ids: Filter = []
    line_items: Filter = []


class CompletionsUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What was used in a bucket; `input_tokens` holds the cached ones. What is not grouped by is null."""

    object: Literal["organization.usage.completions.result"] = "organization.usage.completions.result"
    input_tokens: int
    output_tokens: int
    input_cached_tokens: int
    num_model_requests: int
    project_id: str | None
    user_id: str | None
    api_key_id: str | None
    model: str | None
    batch: bool | None
    service_tier: str | None


class TranscriptionsUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What was used in a bucket: transcriptions and translations. What is not grouped by is null."""

    object: Literal["organization.usage.audio_transcriptions.result"] = (
        "organization.usage.audio_transcriptions.result"
    )
    seconds: int
    num_model_requests: int
    project_id: str | None
    user_id: str | None
    api_key_id: str | None
    model: str | None


class EmbeddingsUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What was used in a bucket. What is not grouped by is null."""

    object: Literal["organization.usage.embeddings.result"] = "organization.usage.embeddings.result"
    input_tokens: int
    num_model_requests: int
    project_id: str | None
    user_id: str | None
    api_key_id: str | None
    model: str | None


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    value: Number
    currency: Literal["usd"] = "usd"


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What a bucket cost. `quantity`, in `quantity_unit`, is told for line items alone."""

    object: Literal["organization.costs.result"] = "organization.costs.result"
    amount: Amount
    line_item: str | None
    project_id: str | None
    user_id: str | None
    api_key_id: str | None
    quantity: int | None
    quantity_unit: Literal["tokens", "duration_seconds"] | None


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["bucket"] = "bucket"
    start_time: int
    end_time: int


class UsagePage(msgspec.Struct, frozen=True, kw_only=True):
    """Buckets in the order of time, empty ones too."""

    object: Literal["page"] = "page"
    has_more: bool
    next_page: str | None


class CompletionsBucket(Bucket, frozen=True, kw_only=True):
    results: list[CompletionsUsage]


class CompletionsPage(UsagePage, frozen=True, kw_only=True):
    data: list[CompletionsBucket]


class EmbeddingsBucket(Bucket, frozen=True, kw_only=True):
    results: list[EmbeddingsUsage]


class EmbeddingsPage(UsagePage, frozen=True, kw_only=True):
    data: list[EmbeddingsBucket]


class TranscriptionsBucket(Bucket, frozen=True, kw_only=True):
    results: list[TranscriptionsUsage]


class TranscriptionsPage(UsagePage, frozen=True, kw_only=True):
    data: list[TranscriptionsBucket]


class CostsBucket(Bucket, frozen=True, kw_only=True):
    results: list[Costs]


class CostsPage(UsagePage, frozen=True, kw_only=True):
    data: list[CostsBucket]


class OtherBucket(Bucket, frozen=True, kw_only=True):
    results: list[Any]


class OtherPage(UsagePage, frozen=True, kw_only=True):
    data: list[OtherBucket]
