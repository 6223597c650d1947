"""The ASGI application, from services that are built already."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from antiphon.access.authenticator import Authenticator
from antiphon.admission.gate import Gate
from antiphon.api import openapi
from antiphon.api.audio import AudioApi
from antiphon.api.chat import ChatApi
from antiphon.api.chat_audio import Hearing
from antiphon.api.completions import CompletionApi
from antiphon.api.edge import Edge
from antiphon.api.embeddings import EmbeddingApi
from antiphon.api.idempotency import Idempotency
from antiphon.api.info import InfoApi
from antiphon.api.model_page import ModelPage
from antiphon.api.observing import Observer
from antiphon.api.reference import ReferenceApi
from antiphon.api.routes import Route
from antiphon.api.table import table
from antiphon.api.uploads import Uploads
from antiphon.app.moderation import measure
from antiphon.catalogue.listing import Names
from antiphon.inference.chat import Chat
from antiphon.inference.completions import Completions
from antiphon.inference.embeddings import Embeddings
from antiphon.inference.metrics import Metrics
from antiphon.inference.transcription import Transcription
from antiphon.ledger.ledger import Ledger
from antiphon.moderation.monitor import Monitor
from antiphon.pools.pools import Pools
from antiphon.settings import Settings
from antiphon.wire.models import Readiness


def build_edge(
    settings: Settings,
    catalogue: Names,
    pools: Pools,
    keys: Authenticator,
    ledger: Ledger,
    uploads: Path,
    process: int | None = None,
    admin: Sequence[Route] = (),
    gate: Gate | None = None,
    observers: Sequence[Observer] = (),
) -> Edge:
    metrics = Metrics(process)
    gate = gate or Gate(settings)
    pools.on_pool.append(lambda pool: pool.on_change.append(partial(gate.pump, pool.deployment.name)))
    metrics.gauge("antiphon_waiting_requests", "Requests that wait for an engine", "snapshot", gate.waiting)
    metrics.gauge(
        "antiphon_engine_slots",
        "Requests that the ready engines serve at once",
        "snapshot",
        lambda: {pool.deployment.name: pool.capacity for pool in pools},
    )

    def readiness() -> Readiness:
        states: dict[str, str] = {name: replicas[0].state for name, replicas in pools.status().items()}
        if edge.draining:
            return Readiness(status="draining", deployments=states)
        ready = states and pools.ready and ledger.ready
        return Readiness(status="ready" if ready else "unavailable", deployments=states)

    for observer in observers:
        if isinstance(observer, Monitor):
            measure(metrics, observer)
    reference = ReferenceApi()
    idempotency = Idempotency(ledger.idempotency_keys)
    services = (settings, catalogue, gate, pools, ledger.meter, metrics)
    transcription, received = Transcription(*services), Uploads(settings, uploads)
    routes = table(
        ChatApi(settings, Chat(*services), Hearing(transcription, received), idempotency),
        CompletionApi(settings, Completions(*services), idempotency),
        EmbeddingApi(settings, Embeddings(*services), idempotency),
        AudioApi(transcription, received, idempotency),
        InfoApi(catalogue, metrics, readiness, settings.public_metrics),
        reference,
        ModelPage(catalogue.listing, settings.public_models),
        admin,
    )
    reference.describe(openapi.document(routes))
    edge = Edge(settings, routes, keys, gate, metrics, observers)
    return edge
