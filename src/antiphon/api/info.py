"""Models, health, readiness, metrics and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable

from antiphon.api.exchange import Exchange
from antiphon.catalogue.listing import Names
from antiphon.inference.metrics import Metrics
from antiphon.wire.models import Health, Model, ModelList, Readiness


class InfoApi:
    """The handlers that describe the service. `readiness` says whether a request would be answered now."""

    def __init__(
        self,
        catalogue: Names,
        metrics: Metrics,
        readiness: Callable[[], Readiness],
        public_metrics: bool,
    ) -> None:
        self.public_metrics = public_metrics
        self._catalogue = catalogue
        self._metrics = metrics
        self._state = readiness

    async def list_models(self, exchange: Exchange) -> None:
        await exchange.answer_json(ModelList(data=self._models(exchange)))

    async def retrieve_model(self, exchange: Exchange) -> None:
        wanted = exchange.parameters["model"]
        # What is not served is refused as any request for it is, with what to use instead.
        self._catalogue.resolve(wanted, exchange.known_caller.organization_id)
        [model] = [model for model in self._models(exchange) if model.id == wanted]
        await exchange.answer_json(model)

    async def health(self, exchange: Exchange) -> None:
        await exchange.answer_json(Health())

    async def readiness(self, exchange: Exchange) -> None:
        state = self._state()
        await exchange.answer_json(state, status=200 if state.status == "ready" else 503)

    async def metrics(self, exchange: Exchange) -> None:
        await exchange.answer(self._metrics.text(), "text/plain; version=0.0.4; charset=utf-8")

    def _models(self, exchange: Exchange) -> list[Model]:
        return self._catalogue.models(exchange.known_caller.organization_id)
