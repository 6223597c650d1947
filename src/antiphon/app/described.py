"""What is served, described without a server: the routes, with nothing behind them."""

from __future__ import annotations

from typing import Any

from antiphon.api import openapi
from antiphon.api.admin.table import rows
from antiphon.api.audio import AudioApi
from antiphon.api.chat import ChatApi
from antiphon.api.completions import CompletionApi
from antiphon.api.embeddings import EmbeddingApi
from antiphon.api.info import InfoApi
from antiphon.api.model_page import ModelPage
from antiphon.api.reference import ReferenceApi
from antiphon.api.routes import Route
from antiphon.api.status_page import StatusPage
from antiphon.api.stored import StoredApi
from antiphon.api.table import table
from antiphon.settings import Settings


class _Unasked:
    """Stands where a service would: routes are made of it, and none is ever called."""

    def __getattr__(self, name: str) -> _Unasked:
        return self


def document(settings: Settings) -> dict[str, Any]:
    """The OpenAPI document of a server with these settings, as it answers at `/openapi.json`."""
    return openapi.document(routes(settings))


def routes(settings: Settings) -> list[Route]:
    """Every route of the API. Their handlers cannot be called."""
    service: Any = _Unasked()
    return table(
        ChatApi(settings, service, service, service),
        CompletionApi(settings, service, service),
        EmbeddingApi(settings, service, service),
        AudioApi(service, service, service),
        InfoApi(service, service, service, settings.public_metrics),
        ReferenceApi(service),
        ModelPage(service, settings.public_models),
        rows(service),
        StoredApi(service),
        StatusPage(service, settings.public_status),
    )
