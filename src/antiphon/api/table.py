"""What is served: the rows that `routes.Router` searches and `openapi.document` describes."""

from __future__ import annotations

from antiphon.api.audio import AudioApi
from antiphon.api.chat import ChatApi, EngineChatRequest
from antiphon.api.exchange import EVENTS, JSON
from antiphon.api.info import InfoApi
from antiphon.api.reference import ReferenceApi
from antiphon.api.routes import Answer, Route
from antiphon.wire.audio import (
    JsonTranscript,
    TextDelta,
    TextDone,
    TranscriptionRequest,
    TranslationRequest,
    VerboseTranscript,
)
from antiphon.wire.chat import ChatCompletion, ChatCompletionChunk, ChatRequest, RenderedPrompt, RenderRequest
from antiphon.wire.models import Health, Model, ModelList, Readiness

_CHAT = (Answer(JSON, ChatCompletion), Answer(EVENTS, ChatCompletionChunk))
_SPEECH = (
    Answer(JSON, JsonTranscript),
    Answer(JSON, VerboseTranscript),
    Answer("text/plain; charset=utf-8"),
)


def table(chat: ChatApi, audio: AudioApi, info: InfoApi, reference: ReferenceApi) -> list[Route]:
    """Every route of the API."""
    return [
        Route(
            method="POST",
            path="/v1/chat/completions",
            handler=chat.create_chat_completion,
            summary="Answer a conversation, as a whole or streamed.",
            body=ChatRequest,
            answers=_CHAT,
        ),
        Route(
            method="POST",
            path="/v1/engines/{model:path}/chat/completions",
            handler=chat.create_engine_chat_completion,
            summary="The same for clients of 2023 that name the model in the path.",
            body=EngineChatRequest,
            answers=_CHAT,
        ),
        Route(
            method="POST",
            path="/v1/chat/completions/render",
            handler=chat.render_chat_completion,
            summary="Show what the model would read: the rendered prompt and its tokens.",
            body=RenderRequest,
            answers=(Answer(JSON, RenderedPrompt),),
        ),
        Route(
            method="POST",
            path="/v1/audio/transcriptions",
            handler=audio.create_transcription,
            summary="Transcribe a recording in its own language.",
            form=TranscriptionRequest,
            answers=(*_SPEECH, Answer(EVENTS, TextDelta), Answer(EVENTS, TextDone)),
        ),
        Route(
            method="POST",
            path="/v1/audio/translations",
            handler=audio.create_translation,
            summary="Translate a recording into English.",
            form=TranslationRequest,
            answers=_SPEECH,
        ),
        Route(
            method="GET",
            path="/v1/models",
            handler=info.list_models,
            summary="List the models that are served, and what each alias means.",
            answers=(Answer(JSON, ModelList),),
        ),
        Route(
            method="GET",
            path="/v1/models/{model:path}",
            handler=info.retrieve_model,
            summary="Describe one model.",
            answers=(Answer(JSON, Model),),
        ),
        *_open_rows(info, reference),
    ]


def _open_rows(info: InfoApi, reference: ReferenceApi) -> list[Route]:
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
            answers=(Answer("text/plain; version=0.0.4"),),
        ),
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
            path="/",
            handler=reference.home,
            summary="Lead a browser to the reference.",
            public=True,
            listed=False,
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
