"""What /metrics reads at the moment when it is asked: queue, leadership, databases, resources by condition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rag_operator.engine.context import Context
from rag_operator.kube.lease import Election


class Figures(Collector):
    """Gauges of one operator process."""

    def __init__(self, context: Context, election: Election) -> None:
        self._context = context
        self._election = election

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All families."""
        parts: tuple[Callable[[], Iterator[GaugeMetricFamily]], ...]
        parts = (self._queue, self._leadership, self._databases, self._resources, self._orphans)
        for part in parts:
            yield from part()

    def _queue(self) -> Iterator[GaugeMetricFamily]:
        queue = self._context.queue
        depth = _family("rag_operator_queue_depth", "Keys that wait for a worker.", "kind", "cause")
        age = _family("rag_operator_queue_age_seconds", "Age of the oldest waiting key.", "kind", "cause")
        waiting = queue.waiting()
        for kind in ("pipeline", "tenant"):
            for cause in ("event", "resync"):
                number, oldest = waiting.get((kind, cause), (0, 0.0))
                depth.add_metric([kind, cause], number)
                age.add_metric([kind, cause], oldest)
        yield depth
        yield age
        working = _family("rag_operator_queue_working", "Keys that a worker has now.")
        working.add_metric([], queue.working())
        yield working
        later = _family("rag_operator_queue_delayed", "Keys that wait for their time: a back-off, or the next look.")
        later.add_metric([], queue.delayed())
        yield later
        full = _family("rag_operator_queue_full_lanes", "Databases with keys that wait because their lane is full.")
        full.add_metric([], queue.full_lanes())
        yield full

    def _leadership(self) -> Iterator[GaugeMetricFamily]:
        leader = _family("rag_operator_leader", "1 while this replica leads.")
        leader.add_metric([], float(self._election.is_leader))
        yield leader
        term = _family("rag_operator_lease_transitions", "How often the Lease has changed hands, as last read.")
        term.add_metric([], self._election.transitions)
        yield term

    def _databases(self) -> Iterator[GaugeMetricFamily]:
        found = Counter(self._context.databases.breakers())
        family = _family("rag_operator_databases", "Databases in use by the state of their breaker.", "breaker")
        for state in ("closed", "half-open", "open"):
            family.add_metric([state], found[state])
        yield family

    def _resources(self) -> Iterator[GaugeMetricFamily]:
        family = _family(
            "rag_operator_resources", "Resources by what their conditions say.", "kind", "condition", "status", "reason"
        )
        for (kind, said), number in sorted(self._context.registry.census.counts().items()):
            family.add_metric([kind, *said], number)
        yield family

    def _orphans(self) -> Iterator[GaugeMetricFamily]:
        found = _family("rag_operator_orphans", "What catalogs hold that no RagTenant claims, by what it is.", "what")
        for what, number in self._context.orphans.counts().items():
            found.add_metric([what], number)
        yield found
        kept = _family("rag_operator_retained_tenants", "Deleted tenants whose data is kept, as their policy asks.")
        kept.add_metric([], self._context.orphans.retained())
        yield kept


def _family(name: str, about: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, labels=labels)
