"""What the port counts: calls, writes, Events, terms of leadership, and how fresh the watches are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from prometheus_client import REGISTRY, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

CALLS = Counter(
    "rag_operator_api_calls_total",
    "Calls to the Kubernetes API server, by HTTP status; none: no answer came.",
    ["verb", "resource", "code"],
)
WRITES = Counter(
    "rag_operator_writes_total",
    "Writes that the API server took, by kind and verb (apply, create, update, patch, delete).",
    ["kind", "verb", "subresource"],
)
EVENTS = Counter("rag_operator_events_total", "Kubernetes Events written, by reason.", ["reason"])
TERMS = Counter("rag_operator_leader_terms_total", "Times that this replica began to lead.")
NO_ANSWER = "none"


class WatchAges(Collector):
    """Seconds since each kind's watch last showed that it lives; of several namespaces, the oldest."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[tuple[str, str | None], float] = {}

    def seen(self, kind: str, namespace: str | None = None) -> None:
        """An event, a bookmark, or a list that agrees with what the watch delivered."""
        self._seen[kind, namespace] = self._clock()

    def clear(self) -> None:
        """Nothing is watched by this replica any more."""
        self._seen.clear()

    def ages(self) -> dict[str, float]:
        """By kind."""
        now = self._clock()
        found: dict[str, float] = {}
        for (kind, _), when in self._seen.items():
            found[kind] = max(found.get(kind, 0.0), now - when)
        return found

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One family."""
        family = GaugeMetricFamily(
            "rag_operator_watch_age_seconds", "Since the watch of a kind last showed that it lives.", labels=["kind"]
        )
        for kind, age in sorted(self.ages().items()):
            family.add_metric([kind], age)
        yield family


WATCHES = WatchAges()
REGISTRY.register(WATCHES)
