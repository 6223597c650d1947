"""What is served: the rows that `routes.Router` searches and `openapi.document` describes."""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.api.audio import AudioApi
from antiphon.api.chat import ChatApi, EngineChatRequest
from antiphon.api.completions import CompletionApi, EngineCompletionRequest
from antiphon.api.embeddings import EmbeddingApi, EngineEmbeddingRequest
from antiphon.api.exchange import EVENTS, JSON
from antiphon.api.info import InfoApi
from antiphon.api.model_page import ModelPage
from antiphon.api.reference import ReferenceApi
from antiphon.api.routes import Answer, Route
from antiphon.api.status_page import StatusPage
from antiphon.api.stored import StoredApi
from antiphon.wire.audio import (
    JsonTranscript,
    TextDelta,
    TextDone,
    TextSegment,
    TranscriptionRequest,
    TranslationRequest,
    VerboseTranscript,
)
from antiphon.wire.chat import ChatCompletion, ChatCompletionChunk, ChatRequest, RenderedPrompt
from antiphon.wire.completions import CompletionRequest, TextCompletion
from antiphon.wire.embeddings import EmbeddingList, EmbeddingRequest
from antiphon.wire.models import Health, Model, ModelList, Readiness
from antiphon.wire.status import Status

_CHAT = (Answer(JSON, ChatCompletion), Answer(EVENTS, ChatCompletionChunk))
_COMPLETION = (Answer(JSON, TextCompletion), Answer(EVENTS, TextCompletion))
_SPEECH = (
    Answer(JSON, JsonTranscript),
    Answer(JSON, VerboseTranscript),
    Answer("text/plain; charset=utf-8"),
    Answer(EVENTS, TextDelta),
    Answer(EVENTS, TextSegment),
    Answer(EVENTS, TextDone),
)


def table(
    chat: ChatApi,
    completions: CompletionApi,
    embeddings: EmbeddingApi,
    audio: AudioApi,
    info: InfoApi,
    reference: ReferenceApi,
    page: ModelPage,
    admin: Sequence[Route] = (),
    stored: StoredApi | None = None,
    status: StatusPage | None = None,
) -> list[Route]:
    """Every route of the API; `admin` are those of `admin.table`, where there is a database behind them. So
    does `status` need one. `stored` has what was to be stored, where anything is kept.
    """
    return [
        *_chat_rows(chat),  # before those of completions, whose model may be any path
        *(stored.rows() if stored else ()),  # after `render`, which is no completion's id
        *_completion_rows(completions),
        *_embedding_rows(embeddings),
        *_audio_rows(audio),
        Route(
            method="GET",
            path="/v1/models",
            needs="models",
            handler=info.list_models,
            summary="List the models that are served, and what each alias means.",
            answers=(Answer(JSON, ModelList),),
        ),
        Route(
            method="GET",
            path="/v1/models/{model:path}",
            needs="models",
            handler=info.retrieve_model,
            summary="Describe one model.",
            answers=(Answer(JSON, Model),),
        ),
        Route(
            method="GET",
            path="/models",
            handler=page.models,
            summary="What each name means today and next, with dates and prices, as a page.",
            public=page.public,
            needs="models",
            answers=(Answer("text/html"),),
        ),
        *(_status_rows(status) if status else ()),
        *admin,
        *_open_rows(info),
        *_reference_rows(reference),
    ]


def _chat_rows(chat: ChatApi) -> list[Route]:
    return [
        Route(
            method="POST",
            path="/v1/chat/completions",
            needs="chat",
            handler=chat.create_chat_completion,
            summary="Answer a conversation, as a whole or streamed.",
            body=ChatRequest,
            answers=_CHAT,
        ),
        Route(
            method="POST",
            path="/v1/engines/{model:path}/chat/completions",
            needs="chat",
            handler=chat.create_engine_chat_completion,
            summary="The same for clients of 2023 that name the model in the path.",
            body=EngineChatRequest,
            answers=_CHAT,
        ),
        Route(
            method="POST",
            path="/v1/chat/completions/render",
            needs="chat",
            handler=chat.render_chat_completion,
            summary="Show what the model would read: the rendered prompt and its tokens.",
            body=ChatRequest,
            answers=(Answer(JSON, RenderedPrompt),),
        ),
    ]


def _completion_rows(completions: CompletionApi) -> list[Route]:
    return [
        Route(
            method="POST",
            path="/v1/completions",
            needs="chat",
            handler=completions.create_completion,
            summary="Go on with one prompt or several, as they are, as a whole or streamed.",
            body=CompletionRequest,
            answers=_COMPLETION,
        ),
        Route(
            method="POST",
            path="/v1/engines/{model:path}/completions",
            needs="chat",
            handler=completions.create_engine_completion,
            summary="The same for clients of 2023 that name the model in the path.",
            body=EngineCompletionRequest,
            answers=_COMPLETION,
        ),
    ]


def _embedding_rows(embeddings: EmbeddingApi) -> list[Route]:
    return [
        Route(
            method="POST",
            path="/v1/embeddings",
            needs="chat",
            handler=embeddings.create_embedding,
            summary="Make a vector of each text.",
            body=EmbeddingRequest,
            answers=(Answer(JSON, EmbeddingList),),
        ),
        Route(
            method="POST",
            path="/v1/engines/{model:path}/embeddings",
            needs="chat",
            handler=embeddings.create_engine_embedding,
            summary="The same for clients of 2023 that name the model in the path.",
            body=EngineEmbeddingRequest,
            answers=(Answer(JSON, EmbeddingList),),
        ),
    ]


def _audio_rows(audio: AudioApi) -> list[Route]:
    return [
        Route(
            method="POST",
            path="/v1/audio/transcriptions",
            needs="audio",
            handler=audio.create_transcription,
            summary="Transcribe a recording in its own language, as a whole or streamed.",
            form=TranscriptionRequest,
            answers=_SPEECH,
        ),
        Route(
            method="POST",
            path="/v1/audio/translations",
            needs="audio",
            handler=audio.create_translation,
            summary="Translate a recording into English, as a whole or streamed.",
            form=TranslationRequest,
            answers=_SPEECH,
        ),
    ]


def _status_rows(page: StatusPage) -> list[Route]:
    public = page.public
    return [
        Route(
            method="GET",
            path="/status",
            handler=page.page,
            summary="How well requests were and are answered, as a page.",
            public=public,
            needs="models",
            answers=(Answer("text/html"),),
        ),
        Route(
            method="GET",
            path="/status.json",
            handler=page.document,
            summary="The same as JSON.",
            public=public,
            needs="models",
            answers=(Answer(JSON, Status),),
        ),
        Route(
            method="GET",
            path="/status.atom",
            handler=page.feed,
            summary="Incidents and announced maintenance, as an Atom feed.",
            public=public,
            needs="models",
            answers=(Answer("application/atom+xml"),),
        ),
        Route(
            method="GET",
            path="/status.css",
            handler=page.style,
            summary="The page's style sheet.",
            public=True,
            listed=False,
        ),
    ]


def _open_rows(info: InfoApi) -> list[Route]:
    """The rows that ask for no key: they tell nothing of anybody's use."""
    return [
        Route(
            method="GET",
            path="/healthz",
            handler=info.health,
            summary="Say that the process is alive.",
            public=True,
            answers=(Answer(JSON, Health),),
        ),
        Route(
            method="GET",
            path="/readyz",
            handler=info.readiness,
            summary="Say whether a request would be answered now; 503 if not.",
            public=True,
            answers=(Answer(JSON, Readiness),),
        ),
        Route(
            method="GET",
            path="/metrics",
            handler=info.metrics,
            summary="Metrics in Prometheus' format.",
            public=info.public_metrics,
            needs="operator",
            answers=(Answer("text/plain; version=0.0.4"),),
        ),
    ]


def _reference_rows(reference: ReferenceApi) -> list[Route]:
    """What describes the API: open to everybody."""
    return [
        Route(
            method="GET",
            path="/openapi.json",
            handler=reference.openapi,
            summary="This document.",
            public=True,
            answers=(Answer(JSON),),
        ),
        Route(
            method="GET",
            path="/docs/api",
            handler=reference.reference,
            summary="This document as a page.",
            public=True,
            answers=(Answer("text/html"),),
        ),
        Route(
            method="GET",
            path="/docs/api.css",
            handler=reference.style,
            summary="The page's style sheet.",
            public=True,
            listed=False,
        ),
    ]
