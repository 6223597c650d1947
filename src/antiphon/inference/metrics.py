"""What Prometheus reads: counted here, once, for every request and every answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """The metrics of one process, in a registry of its own; with its number, if there are several."""

    def __init__(self, process: int | None = None) -> None:
        self._process = process
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "antiphon_requests", "Requests answered", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "antiphon_request_seconds",
            "Seconds from the request's headers to the end of the answer",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.first_token = Histogram(
            "antiphon_first_token_seconds",
            "Seconds from an engine's being free to its first token or segment",
            ["snapshot"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.queue = Histogram(
            "antiphon_queue_seconds",
            "Seconds that requests waited for an engine to be free",
            ["snapshot"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.bytes = Counter(
            "antiphon_bytes",
            "Bytes of the bodies of requests (in) and answers (out)",
            ["route", "direction"],
            registry=self.registry,
        )
        self.tokens = Counter("antiphon_tokens", "Tokens", ["snapshot", "kind"], registry=self.registry)
        self.audio = Counter(
            "antiphon_audio_seconds", "Seconds of sound", ["snapshot"], registry=self.registry
        )

    def gauge(self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """A gauge whose values are read when Prometheus asks: one for each value of `label`."""
        self.registry.register(_Reading(GaugeMetricFamily(name, text, labels=[label]), read))

    def counter(self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """As `gauge`, of what only grows while the process lives; `_total` is added to its name."""
        self.registry.register(_Reading(CounterMetricFamily(name, text, labels=[label]), read))

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        if self._process is None:
            return generate_latest(self.registry)
        named = CollectorRegistry()
        named.register(_Named(self.registry, str(self._process)))
        return generate_latest(named)


class _Named(Collector):
    """Everything of a registry, each value with the label `process`."""

    def __init__(self, registry: CollectorRegistry, process: str) -> None:
        self._registry, self._process = registry, process

    def collect(self) -> Iterable[Metric]:
        for metric in self._registry.collect():
            labels = [{**sample.labels, "process": self._process} for sample in metric.samples]
            metric.samples = [s._replace(labels=of) for s, of in zip(metric.samples, labels, strict=True)]
            yield metric


class _Reading(Collector):
    def __init__(
        self, family: GaugeMetricFamily | CounterMetricFamily, read: Callable[[], Mapping[str, float]]
    ) -> None:
        self._family, self._read = family, read

    def collect(self) -> Iterable[Metric]:
        family = copy(self._family)
        family.samples = []
        for value, reading in self._read().items():
            family.add_metric([value], reading)
        yield family
