"""The ASGI application, from services that are built already."""

from __future__ import annotations

from asyncio import all_tasks
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

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
from antiphon.api.reference import ReferenceApi, contents
from antiphon.api.routes import Route
from antiphon.api.status_page import StatusPage
from antiphon.api.stored import StoredApi
from antiphon.api.table import table
from antiphon.api.uploads import Uploads
from antiphon.app.traces import Trace
from antiphon.catalogue.listing import Names
from antiphon.console.documentation.pages import Documentation
from antiphon.inference.chat import Chat
from antiphon.inference.completions import Completions
from antiphon.inference.embeddings import Embeddings
from antiphon.inference.metrics import Metrics
from antiphon.inference.transcription import Transcription
from antiphon.ledger.ledger import Ledger
from antiphon.pools.pools import Pools
from antiphon.privacy.stored import StoredCompletions
from antiphon.settings import Settings
from antiphon.status.counting import Counter
from antiphon.wire.models import Readiness


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What watches requests, and what is served besides; each part may be missing."""

    observers: Sequence[Observer] = ()
    stored: StoredCompletions | None = None
    figures: Sequence[Callable[[Metrics], None]] = ()
    """Each adds to the metrics."""
    status: StatusPage | None = None
    counter: Counter | None = None
    trace: Trace | None = None
    pages: Sequence[Route] = ()
    """Those of the console."""
    proof: Callable[[str], str] = lambda secret: ""
    """What pages of a session send along with changes."""


ALONE = Around()


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
    around: Around = ALONE,
) -> Edge:
    metrics = Metrics(process)
    gate = gate or Gate(settings)
    pools.on_pool.append(lambda pool: pool.on_change.append(partial(gate.pump, pool.deployment.name)))
    _measure(metrics, gate, pools, ledger)
    for figures in around.figures:
        figures(metrics)

    def readiness() -> Readiness:
        states: dict[str, str] = {name: replicas[0].state for name, replicas in pools.status().items()}
        if edge.draining:
            return Readiness(status="draining", deployments=states)
        ready = states and pools.ready and ledger.ready
        return Readiness(status="ready" if ready else "unavailable", deployments=states)

    documentation = Documentation(settings.public_url)
    reference = ReferenceApi(documentation.reference, settings.public_url)
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
        StoredApi(around.stored) if around.stored else None,
        around.status,
    )
    routes += documentation.rows()  # after those of the reference, which is one of its pages
    document = openapi.document(routes)
    reference.describe(document)
    documentation.refer(contents(document))
    watched = (around.observers, around.counter, around.trace)
    edge = Edge(settings, [*routes, *around.pages], keys, gate, metrics, *watched, around.proof)
    return edge


def _measure(metrics: Metrics, gate: Gate, pools: Pools, ledger: Ledger) -> None:
    """Let the metrics tell how the parts stand."""
    metrics.gauge("antiphon_waiting_requests", "Requests that wait for an engine", "snapshot", gate.waiting)
    gate.on_wait = lambda name, seconds: metrics.queue.labels(name).observe(seconds)
    metrics.gauge(
        "antiphon_engine_restarts",
        "Times that engines had to be started anew",
        "snapshot",
        lambda: {name: sum(one.restarts for one in all) for name, all in pools.status().items()},
    )
    metrics.counter(
        "antiphon_engine_renewals",
        "Times that engines were started anew since they held too much memory with nothing to do",
        "snapshot",
        lambda: {name: sum(one.renewed for one in all) for name, all in pools.status().items()},
    )
    metrics.gauge(
        "antiphon_ledger_unposted",
        "Records of the journal that are not in the database yet",
        "of",
        lambda: {"ledger": ledger.unposted},
    )
    metrics.gauge(
        "antiphon_engine_slots",
        "Requests that the ready engines serve at once",
        "snapshot",
        lambda: {pool.deployment.name: pool.capacity for pool in pools},
    )
    metrics.gauge(
        "antiphon_tasks",
        "Tasks of the event loop, this reading's too",
        "loop",
        lambda: {"main": len(all_tasks())},
    )
