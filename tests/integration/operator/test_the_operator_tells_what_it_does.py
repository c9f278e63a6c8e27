"""H1: the operator's own figures, scraped from the real process while real things happen to it."""

from __future__ import annotations

import urllib.request
from collections import defaultdict

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support import postgres
from tests.support.operator import HANDBOOK, OperatorProcess, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
Series = dict[frozenset[tuple[str, str]], float]


class Scrape:
    """All samples of one look at /metrics."""

    def __init__(self, replica: OperatorProcess) -> None:
        port = replica.environment["RAG_OPERATOR_METRICS_PORT"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        self.samples: defaultdict[str, Series] = defaultdict(dict)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self.samples[sample.name][frozenset(sample.labels.items())] = sample.value

    def of(self, name: str, **labels: str) -> float:
        """The sum of the series with these labels."""
        return sum(value for series, value in self.samples[name].items() if labels.items() <= dict(series).items())

    def quantile(self, name: str, share: float, **labels: str) -> float:
        """The upper bound of the bucket in which the quantile lies."""
        wanted = self.of(f"{name}_count", **labels) * share
        bounds = sorted(
            (float(dict(series)["le"]), value)
            for series, value in self.samples[f"{name}_bucket"].items()
            if labels.items() <= dict(series).items()
        )
        return next(bound for bound, value in bounds if value >= wanted)


def _up(replica: OperatorProcess) -> Scrape | None:
    try:
        return Scrape(replica)
    except OSError:
        return None


def _all_that_was_done_is_told(settled: Scrape) -> None:
    for kind in ("pipeline", "tenant"):
        assert settled.of("rag_operator_reconciles_total", kind=kind) >= 1
        assert 0 < settled.quantile("rag_operator_reconcile_seconds", 0.99, kind=kind) <= 120
        assert ("kind", kind) in {label for series in settled.samples["rag_operator_queue_depth"] for label in series}
    assert settled.of("rag_operator_writes_total", kind="Deployment", verb="apply") >= 2
    assert settled.of("rag_operator_writes_total", kind="Secret", verb="create") >= 3
    assert settled.of("rag_operator_writes_total", kind="RagTenant", verb="apply", subresource="status") >= 1
    assert settled.of("rag_operator_writes_total", kind="RagTenant", verb="patch", subresource="") == 1
    assert settled.of("rag_operator_writes_total", kind="Lease") >= 1
    assert settled.of("rag_operator_api_calls_total", verb="GET", resource="secrets", code="404") >= 1
    for what in ("rows", "roles", "schema", "notify"):
        assert settled.of("rag_operator_sql_writes_total", what=what) >= 1, what
    assert settled.of("rag_operator_databases", breaker="closed") == 1


def test_every_figure_moves_with_what_it_tells_of(here: World, own_server: postgres.Server) -> None:
    one = here.operator(resync_seconds="2")
    first = eventually(lambda: (s := _up(one)) and s.of("rag_operator_leader") == 1 and s, "the replica leads")
    assert isinstance(first, Scrape)
    assert first.of("rag_operator_leader_terms_total") == 1
    assert first.of("rag_operator_resources") == first.of("rag_operator_sql_writes_total") == 0

    here.apply(pipeline(), tenant(suspend=True), HANDBOOK, here.database_secret(own_server.dsn()))
    here.wait_condition("ragtenant", "acme", "Ready", "Suspended")
    eventually(lambda: here.get("deployment", "support-query"), "the pipeline's children")
    eventually(
        lambda: Scrape(one).of(
            "rag_operator_resources", kind="tenant", condition="Ready", status="False", reason="Suspended"
        ),
        "the tenant is counted",
    )
    settled = Scrape(one)
    _all_that_was_done_is_told(settled)
    eventually(lambda: Scrape(one).of("rag_operator_resync_seconds_count") >= 2, "two resyncs")
    assert settled.of("rag_operator_resync_differences_total") >= 0
    watched = {dict(series)["kind"] for series in settled.samples["rag_operator_watch_age_seconds"]}
    assert watched == {"RagPipeline", "RagTenant", "Deployment", "StatefulSet", "Job"}
    assert settled.of("rag_operator_watch_age_seconds", kind="RagTenant") < 60

    own_server.stop()
    eventually(lambda: Scrape(one).of("rag_operator_databases", breaker="open") == 1, "the breaker opens", 60)
    troubled = Scrape(one)
    assert troubled.of("rag_operator_reconcile_errors_total", reason="DatabaseUnreachable") >= 1
    eventually(lambda: Scrape(one).of("rag_operator_queue_delayed") >= 1, "the next try waits for its time")
    own_server.start()
    eventually(lambda: Scrape(one).of("rag_operator_databases", breaker="closed") == 1, "it closes", 60)

    here.kubectl("delete", "ragtenant", "acme")
    eventually(lambda: Scrape(one).of("rag_operator_resources", kind="tenant") == 0, "the tenant is counted no more")
    assert not [name for name, series in Scrape(one).samples.items() for labels in series if _names(labels)]


def _names(labels: frozenset[tuple[str, str]]) -> bool:
    """Whether a label has a name of a resource: that would be a series for each."""
    return bool({"acme", "support"} & {value for _, value in labels})


def test_a_replica_that_takes_over_says_so(here: World) -> None:
    one = here.operator()
    eventually(lambda: (s := _up(one)) and s.of("rag_operator_leader") == 1, "the first leads")
    two = here.operator()
    standby = eventually(lambda: _up(two), "the second answers")
    assert standby is not None
    assert standby.of("rag_operator_leader") == standby.of("rag_operator_leader_terms_total") == 0
    one.stop()
    eventually(lambda: Scrape(two).of("rag_operator_leader") == 1, "the second leads", 30)
    after = Scrape(two)
    assert after.of("rag_operator_leader_terms_total") == 1
    assert after.of("rag_operator_lease_transitions") >= 1
