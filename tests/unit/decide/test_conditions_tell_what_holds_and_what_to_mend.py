from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rag_operator.api.conditions import Condition, Reason, find, merge
from rag_operator.decide import pipeline, tenant
from rag_operator.decide.checks import GOOD, Check

QUERY = pipeline.QueryFacts(desired=2, ready=2, updated=2, total=2, observed=True, live_leases=2)
PIPELINE = pipeline.PipelineFacts(generation=3, database=GOOD, cache=GOOD, query=QUERY)
INDEX = tenant.IndexFacts(active=1, active_current=True, candidate=1, promotion=4, live_leases=2, behind=0)
TENANT = tenant.TenantFacts(generation=2, database=GOOD, index=INDEX, run=tenant.RunState.DONE)
DOWN = Check(False, Reason.DATABASE_UNREACHABLE, "database db:5432/rag can't be reached; it is tried again")


def _of(conditions: tuple[Condition, ...], kind: str) -> Condition:
    found = find(conditions, kind)
    assert found is not None
    return found


def test_a_pipeline_with_all_parts_in_order_is_ready() -> None:
    said = pipeline.conditions(PIPELINE)
    assert [(c.type, c.status) for c in said[:4]] == [
        ("Ready", "True"),
        ("Available", "True"),
        ("Progressing", "False"),
        ("Degraded", "False"),
    ]
    assert {c.observed_generation for c in said} == {3}


def test_a_pipeline_never_says_ready_while_no_pod_has_a_fresh_lease() -> None:
    said = pipeline.conditions(replace(PIPELINE, query=replace(QUERY, live_leases=0)))
    assert _of(said, "Ready").status == "False"
    assert _of(said, "Available").status == "False"


def test_pods_that_serve_stay_available_while_the_database_is_away() -> None:
    said = pipeline.conditions(replace(PIPELINE, database=DOWN))
    assert _of(said, "Ready").reason == Reason.DATABASE_UNREACHABLE
    assert _of(said, "Available").status == "True"
    assert _of(said, "Degraded").message == DOWN.message


def test_a_rollout_is_progress_and_takes_nothing_from_ready() -> None:
    said = pipeline.conditions(replace(PIPELINE, query=replace(QUERY, updated=1, total=3)))
    assert _of(said, "Ready").status == "True"
    assert _of(said, "Progressing").reason == Reason.ROLLING_OUT


def test_what_answers_do_without_degrades_a_pipeline_that_is_ready_all_the_same() -> None:
    unscaled = Check(False, Reason.SCALING_UNAVAILABLE, "spec.scaling.metrics InFlight: install KEDA")
    facts = replace(PIPELINE, extras=(GOOD, unscaled))
    said = pipeline.conditions(facts)
    assert _of(said, "Ready").status == "True"
    assert (_of(said, "Degraded").reason, _of(said, "Degraded").message) == (unscaled.reason, unscaled.message)
    assert not pipeline.stopped(facts)
    worse = pipeline.conditions(replace(facts, database=DOWN))
    assert _of(worse, "Degraded").reason == Reason.DATABASE_UNREACHABLE
    starting = pipeline.conditions(replace(facts, query=replace(QUERY, ready=0)))
    assert _of(starting, "Progressing").status == "True"


def test_new_pods_that_fail_degrade_a_pipeline_whose_old_ones_serve() -> None:
    stuck = replace(QUERY, updated=1, total=3, trouble="pod a can't get the image b: correct it")
    said = pipeline.conditions(replace(PIPELINE, query=stuck))
    assert (_of(said, "Ready").status, _of(said, "Available").status) == ("True", "True")
    assert (_of(said, "Degraded").status, _of(said, "Degraded").reason) == ("True", Reason.PODS_FAILING)
    assert _of(said, "Degraded").message == stuck.trouble
    none = pipeline.conditions(replace(PIPELINE, query=replace(stuck, ready=0)))
    assert (_of(none, "Ready").reason, _of(none, "Ready").message) == (Reason.PODS_FAILING, stuck.trouble)
    assert _of(none, "Available").status == "False"


def test_a_run_whose_pod_does_not_start_says_why() -> None:
    first = replace(
        TENANT, run=tenant.RunState.STUCK, run_message="pod a finds no node", index=replace(INDEX, active=None)
    )
    said = tenant.conditions(first)
    for kind in ("Ready", "IngestSucceeded", "Degraded"):
        assert (_of(said, kind).reason, _of(said, kind).message) == (Reason.PODS_FAILING, "pod a finds no node")
    later = tenant.conditions(replace(first, index=INDEX))
    assert (_of(later, "Ready").status, _of(later, "Degraded").status) == ("True", "True")


def test_a_tenant_is_ready_when_every_live_pod_has_its_revision_and_its_probe_passed() -> None:
    assert _of(tenant.conditions(TENANT), "Ready").status == "True"


def test_a_tenant_is_not_ready_while_one_live_pod_lags_behind_its_promotion() -> None:
    said = tenant.conditions(replace(TENANT, index=replace(INDEX, behind=1)))
    assert _of(said, "Ready").status == "False"
    assert _of(said, "Ready").reason == Reason.ROLLING_OUT


def test_a_tenant_whose_probe_failed_is_degraded_with_the_pod_s_words() -> None:
    said = tenant.conditions(replace(TENANT, index=replace(INDEX, probe_failure="relation is missing")))
    assert "relation is missing" in _of(said, "Degraded").message


def test_a_failed_later_run_leaves_a_served_tenant_ready_and_says_degraded() -> None:
    said = tenant.conditions(replace(TENANT, run=tenant.RunState.FAILED, run_message="Job x failed"))
    assert _of(said, "Ready").status == "True"
    assert _of(said, "Degraded").status == "True"
    assert _of(said, "IngestSucceeded").message == "Job x failed"


def test_a_missing_source_blocks_the_first_ingestion_and_only_degrades_a_served_tenant() -> None:
    missing = Check(False, Reason.SOURCE_NOT_FOUND, "ConfigMap rag/x does not exist: create it")
    fresh = tenant.conditions(replace(TENANT, sources=missing, index=replace(INDEX, active=None)))
    assert _of(fresh, "Ready").reason == Reason.SOURCE_NOT_FOUND
    served = tenant.conditions(replace(TENANT, sources=missing))
    assert _of(served, "Ready").status == "True"
    assert _of(served, "Degraded").status == "True"


def test_a_suspended_tenant_without_any_revision_says_so() -> None:
    facts = replace(TENANT, suspended=True, run=tenant.RunState.MISSING, index=replace(INDEX, active=None))
    assert _of(tenant.conditions(facts), "Ready").reason == Reason.SUSPENDED


def test_another_configuration_or_another_request_is_another_run() -> None:
    names = {tenant.run_request("c1", ""), tenant.run_request("c2", ""), tenant.run_request("c1", "1")}
    assert len(names) == 3


def test_a_tenant_that_something_will_wake_asks_for_no_look() -> None:
    """Thousands that wait for a slot, a pod or a person may not ask every few seconds."""
    waits = (
        TENANT,
        replace(TENANT, run=tenant.RunState.WAITING, index=replace(INDEX, active=None)),
        replace(TENANT, run=tenant.RunState.MISSING, suspended=True, index=replace(INDEX, active=None)),
        replace(TENANT, index=replace(INDEX, live_leases=0)),
    )
    assert [tenant.next_look(facts) for facts in waits] == [None] * len(waits)
    moves = (
        replace(TENANT, run=tenant.RunState.RUNNING),
        replace(TENANT, run=tenant.RunState.FAILED),
        replace(TENANT, run=tenant.RunState.UNDONE),
        replace(TENANT, index=replace(INDEX, behind=1)),
        replace(TENANT, sources=Check(False, Reason.SOURCE_NOT_FOUND, "create it")),
    )
    assert all(tenant.next_look(facts) is not None for facts in moves)


def test_a_pipeline_on_its_way_is_looked_at_often_while_it_moves_and_rarely_once_it_stands() -> None:
    then = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
    starting = replace(QUERY, ready=0, live_leases=0)
    said = merge((), pipeline.conditions(replace(PIPELINE, database=DOWN, query=starting)), then)
    moved = merge(said, pipeline.conditions(replace(PIPELINE, query=starting)), then + timedelta(seconds=100))
    after = [pipeline.starting_period(moved, then + timedelta(seconds=100 + still)) for still in (0, 19, 60, 3600)]
    assert after == [2, 2, 6, 30]
    assert pipeline.starting_period(pipeline.conditions(PIPELINE), then) == 2
