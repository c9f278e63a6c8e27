"""H1: the operator's own figures, scraped from the real process while real things happen to it."""

from __future__ import annotations

import pytest

from tests.support import postgres
from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant
from tests.support.scrape import Sample, Scrape, quantile

pytestmark = pytest.mark.integration


def _all_that_was_done_is_told(settled: Scrape) -> None:
    for kind in ("pipeline", "tenant"):
        assert settled.of("rag_operator_reconciles_total", kind=kind) >= 1
        assert 0 < quantile(settled.buckets("rag_operator_reconcile_seconds", kind=kind), 0.99) <= 120
        assert settled.series("rag_operator_queue_depth", kind=kind)
    assert settled.of("rag_operator_writes_total", kind="Deployment", verb="apply") >= 2
    assert settled.of("rag_operator_writes_total", kind="Secret", verb="create") >= 3
    assert settled.of("rag_operator_writes_total", kind="RagTenant", verb="apply", subresource="status") >= 1
    assert settled.of("rag_operator_writes_total", kind="RagTenant", verb="patch", subresource="") == 1
    assert settled.of("rag_operator_writes_total", kind="Lease") >= 1
    assert settled.of("rag_operator_api_calls_total", verb="GET", resource="secrets", code="404") >= 1
    for what in ("rows", "roles", "schema", "notify"):
        assert settled.of("rag_operator_sql_writes_total", what=what) >= 1, what
    assert settled.of("rag_operator_databases", breaker="closed") == 1


def _both_have_ended(seen: Scrape) -> bool:
    """What a reconcile did is in its figures once it has ended: the cluster shows its effects before."""
    return all(seen.of("rag_operator_reconciles_total", kind=kind, outcome="ok") for kind in ("pipeline", "tenant"))


def test_every_figure_moves_with_what_it_tells_of(here: World, own_server: postgres.Server) -> None:
    one = here.operator(resync_seconds="2")
    first = eventually(lambda: (s := one.scrape()).of("rag_operator_leader") == 1 and s, "the replica leads")
    assert isinstance(first, Scrape)
    assert first.of("rag_operator_leader_terms_total") == 1
    assert first.of("rag_operator_resources") == first.of("rag_operator_sql_writes_total") == 0

    here.apply(pipeline(), tenant(suspend=True), HANDBOOK, here.database_secret(own_server.dsn()))
    here.wait_condition("ragtenant", "acme", "Ready", "Suspended")
    eventually(lambda: here.get("deployment", "support-query"), "the pipeline's children")
    eventually(
        lambda: one.scrape().of(
            "rag_operator_resources", kind="tenant", condition="Ready", status="False", reason="Suspended"
        ),
        "the tenant is counted",
    )
    settled = eventually(lambda: _both_have_ended(s := one.scrape()) and s, "a reconcile of each has ended")
    assert isinstance(settled, Scrape)
    _all_that_was_done_is_told(settled)
    eventually(lambda: one.scrape().of("rag_operator_resync_seconds_count") >= 2, "two resyncs")
    assert settled.of("rag_operator_resync_differences_total") >= 0
    watched = {one.labels["kind"] for one in settled.series("rag_operator_watch_age_seconds")}
    assert watched == {"RagPipeline", "RagTenant", "Deployment", "StatefulSet", "Job"}
    assert settled.of("rag_operator_watch_age_seconds", kind="RagTenant") < 60

    own_server.stop()
    eventually(lambda: one.scrape().of("rag_operator_databases", breaker="open") == 1, "the breaker opens", 60)
    troubled = one.scrape()
    assert troubled.of("rag_operator_reconcile_errors_total", reason="DatabaseUnreachable") >= 1
    eventually(lambda: one.scrape().of("rag_operator_queue_delayed") >= 1, "the next try waits for its time")
    own_server.start()
    eventually(lambda: one.scrape().of("rag_operator_databases", breaker="closed") == 1, "it closes", 60)

    here.kubectl("delete", "ragtenant", "acme")
    eventually(lambda: one.scrape().of("rag_operator_resources", kind="tenant") == 0, "the tenant is counted no more")
    assert not [sample for sample in one.scrape().samples if _names(sample)]


def _names(sample: Sample) -> bool:
    """Whether a label has a name of a resource: that would be a series for each."""
    return bool({"acme", "support"} & set(sample.labels.values()))


def test_a_replica_that_takes_over_says_so(here: World) -> None:
    one = here.operator()
    eventually(lambda: one.scrape().of("rag_operator_leader") == 1, "the first leads")
    two = here.operator()
    eventually(lambda: two.scrape().samples, "the second answers")
    standby = two.scrape()
    assert standby.of("rag_operator_leader") == standby.of("rag_operator_leader_terms_total") == 0
    one.stop()
    eventually(lambda: two.scrape().of("rag_operator_leader") == 1, "the second leads", 30)
    after = two.scrape()
    assert after.of("rag_operator_leader_terms_total") == 1
    assert after.of("rag_operator_lease_transitions") >= 1
