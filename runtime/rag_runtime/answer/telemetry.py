"""Metrics of the query service, in a registry of its own; tenants are a bounded label."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rag_runtime.breaker import Breaker
from rag_runtime.contract import metrics as names

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIMILARITY = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class Telemetry:
    """Counts and times; `registry` is what `/metrics` shows."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._labels: set[str] = set()
        self.breakers: list[Breaker] = []
        self._requests = Counter(names.REQUESTS, "Requests", ["route", "tenant", "outcome"], registry=registry)
        self._seconds = Histogram(names.REQUEST_SECONDS, "Whole requests", ["route"], buckets=FAST, registry=registry)
        self._first_text = Histogram(
            names.FIRST_TEXT_SECONDS, "Until the first text of an answer", buckets=FAST, registry=registry
        )
        self._stages = Histogram(
            names.STAGE_SECONDS, "Stages of the query path", ["stage"], buckets=FAST, registry=registry
        )
        self._failures = Counter(names.STAGE_FAILURES, "Stages that failed", ["stage"], registry=registry)
        self._lookups = Counter(names.CACHE_LOOKUPS, "Cache lookups", ["cache", "result"], registry=registry)
        self._empty = Counter(names.EMPTY_RETRIEVALS, "Retrievals that found nothing", ["tenant"], registry=registry)
        self._similarity = Histogram(
            names.TOP_SIMILARITY, "Cosine of the best passage", buckets=SIMILARITY, registry=registry
        )
        self._tokens = Counter(names.TOKENS, "Tokens", ["model", "kind"], registry=registry)
        self.in_flight = Gauge(names.IN_FLIGHT, "Requests under way", registry=registry)
        registry.register(_BreakerStates(self.breakers))

    def watch(self, breaker: Breaker) -> Breaker:
        """Show `breaker`'s state."""
        self.breakers.append(breaker)
        return breaker

    def tenant(self, label: str | None) -> str:
        """`label` while it is among the first 200, else `other`; empty before authentication."""
        if label is None or label in self._labels:
            return label or ""
        if len(self._labels) >= names.TENANT_LABEL_LIMIT:
            return names.OTHER_TENANTS
        self._labels.add(label)
        return label

    def request(self, route: str, tenant: str | None, outcome: str, seconds: float) -> None:
        """One request ended."""
        self._requests.labels(route, self.tenant(tenant), outcome).inc()
        self._seconds.labels(route).observe(seconds)

    def first_text(self, seconds: float) -> None:
        """The first piece of an answer was ready."""
        self._first_text.observe(seconds)

    def failure(self, stage: str) -> None:
        """A stage failed."""
        self._failures.labels(stage).inc()

    def lookup(self, cache: str, result: str) -> None:
        """A cache was asked: hit, miss, or skipped (no Redis)."""
        self._lookups.labels(cache, result).inc()

    def retrieved(self, tenant: str, best: float | None) -> None:
        """A retrieval ended; `best` None: nothing relevant."""
        if best is None:
            self._empty.labels(self.tenant(tenant)).inc()
        else:
            self._similarity.observe(best)

    def tokens(self, model: str, prompt: int, completion: int) -> None:
        """A model was paid for."""
        self._tokens.labels(model, "prompt").inc(prompt)
        self._tokens.labels(model, "completion").inc(completion)

    @contextlib.contextmanager
    def stage(self, name: str, timings: dict[str, float]) -> Iterator[None]:
        """Time a stage into the metric and, in milliseconds, into `timings`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - started
            self._stages.labels(name).observe(took)
            timings[name] = round(timings.get(name, 0.0) + took * 1000, 2)


class _BreakerStates(Collector):
    """Reads the states at scrape time, so that OPEN turns into HALF_OPEN without a call."""

    def __init__(self, breakers: Sequence[Breaker]) -> None:
        self._breakers = breakers

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One family."""
        family = GaugeMetricFamily(names.BREAKER_STATE, "Breakers: 0 closed, 1 half-open, 2 open", labels=["breaker"])
        for breaker in self._breakers:
            family.add_metric([breaker.name], float(breaker.state))
        yield family
