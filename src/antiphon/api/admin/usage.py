"""`/v1/organization/usage/…` and `/v1/organization/costs`, from the ledger's rollups."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec

from antiphon.api import query
from antiphon.api.exchange import JSON, Exchange
from antiphon.api.routes import Answer, Route
from antiphon.errors import NotFound
from antiphon.ledger import buckets, usage
from antiphon.storage.database import Database
from antiphon.values import Task
from antiphon.wire.admin.usage import (
    Amount,
    CompletionsBucket,
    CompletionsPage,
    CompletionsUsage,
    CompletionsUsageQuery,
    Costs,
    CostsBucket,
    CostsPage,
    CostsQuery,
    EmbeddingsBucket,
    EmbeddingsPage,
    EmbeddingsUsage,
    OtherBucket,
    OtherPage,
    OtherUsageQuery,
    PageQuery,
    TranscriptionsBucket,
    TranscriptionsPage,
    TranscriptionsUsage,
    UsageQuery,
)

OTHERS = frozenset(
    {
        "audio_speeches",
        "code_interpreter_sessions",
        "decisions",
        "file_search_calls",
        "images",
        "moderations",
        "vector_stores",
        "web_search_calls",
    }
)
"""What OpenAI also tells the usage of, and nobody can use here."""
_FILTERS = ("project_ids", "user_ids", "api_key_ids", "models", "line_items")

R = TypeVar("R")

_USAGE = "/v1/organization/usage"


class UsageApi:
    """`clock` in unix seconds."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def rows(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path=_USAGE + "/completions",
                needs="org.read",
                handler=self.completions_usage,
                summary="Show the tokens that were used, by minute, hour or day.",
                query=CompletionsUsageQuery,
                answers=(Answer(JSON, CompletionsPage),),
            ),
            Route(
                method="GET",
                path=_USAGE + "/audio_transcriptions",
                needs="org.read",
                handler=self.audio_transcriptions_usage,
                summary="Show the seconds of sound transcribed or translated, by minute, hour or day.",
                query=UsageQuery,
                answers=(Answer(JSON, TranscriptionsPage),),
            ),
            Route(
                method="GET",
                path=_USAGE + "/embeddings",
                needs="org.read",
                handler=self.embeddings_usage,
                summary="Show the tokens that were embedded, by minute, hour or day.",
                query=UsageQuery,
                answers=(Answer(JSON, EmbeddingsPage),),
            ),
            Route(
                method="GET",
                path=_USAGE + "/{kind}",
                needs="org.read",
                handler=self.other_usage,
                summary="Show the usage of what is not served here (images, moderations, …): always none.",
                query=OtherUsageQuery,
                answers=(Answer(JSON, OtherPage),),
            ),
            Route(
                method="GET",
                path="/v1/organization/costs",
                needs="org.read",
                handler=self.costs,
                summary="Show what the usage of each day costs.",
                query=CostsQuery,
                answers=(Answer(JSON, CostsPage),),
            ),
        ]

    async def completions_usage(self, exchange: Exchange) -> None:
        wanted = query.read(exchange, CompletionsUsageQuery)
        page = await self._usage(exchange, wanted, "chat")
        batches = wanted.batch is True
        await exchange.answer_json(
            _page(
                CompletionsPage,
                CompletionsBucket,
                page,
                lambda result: [] if batches else [_completions(result, wanted.group_by)],
            )
        )

    async def audio_transcriptions_usage(self, exchange: Exchange) -> None:
        page = await self._usage(exchange, query.read(exchange, UsageQuery), "speech")
        await exchange.answer_json(
            _page(TranscriptionsPage, TranscriptionsBucket, page, lambda result: [_transcriptions(result)])
        )

    async def embeddings_usage(self, exchange: Exchange) -> None:
        page = await self._usage(exchange, query.read(exchange, UsageQuery), "embedding")
        await exchange.answer_json(
            _page(EmbeddingsPage, EmbeddingsBucket, page, lambda result: [_embeddings(result)])
        )

    async def other_usage(self, exchange: Exchange) -> None:
        if exchange.parameters["kind"] not in OTHERS:
            raise NotFound("There is no usage of this kind.", code="unknown_url")
        asked = self._query(exchange, query.read(exchange, OtherUsageQuery))
        empty: buckets.Page[Any] = buckets.Buckets(asked, usage.LIMITS).page({})
        await exchange.answer_json(_page(OtherPage, OtherBucket, empty, lambda result: []))

    async def costs(self, exchange: Exchange) -> None:
        asked = self._query(exchange, query.read(exchange, CostsQuery))
        async with self._database.connect() as connection:
            page = await connection.run_sync(usage.costs, asked)
        await exchange.answer_json(_page(CostsPage, CostsBucket, page, lambda result: [_costs(result)]))

    async def _usage(
        self, exchange: Exchange, wanted: CompletionsUsageQuery | UsageQuery, task: Task
    ) -> buckets.Page[usage.UsageResult]:
        asked = self._query(exchange, wanted)
        async with self._database.connect() as connection:
            return await connection.run_sync(partial(usage.usage, task=task), asked)

    def _query(self, exchange: Exchange, wanted: PageQuery) -> buckets.Query:
        given = msgspec.structs.asdict(wanted)
        now = int(self._clock())
        return buckets.Query(
            organization_id=exchange.known_caller.organization_id,
            start=wanted.start_time,
            end=max(now, wanted.start_time + 1) if wanted.end_time is None else wanted.end_time,
            width=given["bucket_width"],
            group_by=tuple(given["group_by"]),
            limit=wanted.limit,
            page=wanted.page,
            **{name: tuple(given[name]) for name in _FILTERS if name in given},
        )


def _page(
    shape: Callable[..., Any],
    bucket_shape: Callable[..., Any],
    page: buckets.Page[R],
    show: Callable[[R], list[Any]],
) -> Any:
    data = [
        bucket_shape(
            start_time=bucket.start,
            end_time=bucket.end,
            results=[shown for result in bucket.results for shown in show(result)],
        )
        for bucket in page.data
    ]
    return shape(data=data, has_more=page.next_page is not None, next_page=page.next_page)


def _completions(result: usage.UsageResult, group_by: list[Any]) -> CompletionsUsage:
    return CompletionsUsage(
        input_tokens=result.input_tokens,
        output_tokens=result.output_tokens,
        input_cached_tokens=result.cached_tokens,
        num_model_requests=result.requests,
        project_id=result.project_id,
        user_id=result.user_id,
        api_key_id=result.api_key_id,
        model=result.model,
        batch=False if "batch" in group_by else None,
        service_tier="default" if "service_tier" in group_by else None,
    )


def _transcriptions(result: usage.UsageResult) -> TranscriptionsUsage:
    return TranscriptionsUsage(
        seconds=result.seconds,
        num_model_requests=result.requests,
        project_id=result.project_id,
        user_id=result.user_id,
        api_key_id=result.api_key_id,
        model=result.model,
    )


def _embeddings(result: usage.UsageResult) -> EmbeddingsUsage:
    return EmbeddingsUsage(
        input_tokens=result.input_tokens,
        num_model_requests=result.requests,
        project_id=result.project_id,
        user_id=result.user_id,
        api_key_id=result.api_key_id,
        model=result.model,
    )


def _costs(result: usage.CostResult) -> Costs:
    return Costs(
        amount=Amount(value=msgspec.Raw(f"{usage.dollars(result.amount):f}".encode())),
        line_item=result.line_item,
        project_id=result.project_id,
        user_id=result.user_id,
        api_key_id=result.api_key_id,
        quantity=result.quantity,
        quantity_unit=result.unit,
    )
