"""Tenants are a bounded label."""

from __future__ import annotations

from prometheus_client.exposition import generate_latest

from rag_runtime.answer.telemetry import Telemetry
from rag_runtime.breaker import Breaker
from rag_runtime.contract.metrics import OTHER_TENANTS, TENANT_LABEL_LIMIT


def test_the_two_hundred_and_first_tenant_is_other() -> None:
    telemetry = Telemetry()
    labels = {telemetry.tenant(f"rag/t{i}") for i in range(TENANT_LABEL_LIMIT + 50)}
    assert len(labels) == TENANT_LABEL_LIMIT + 1
    assert OTHER_TENANTS in labels
    assert telemetry.tenant("rag/t7") == "rag/t7"


def test_a_request_without_a_tenant_has_an_empty_label() -> None:
    assert Telemetry().tenant(None) == ""


def test_a_breaker_shows_its_state() -> None:
    telemetry = Telemetry()
    breaker = telemetry.watch(Breaker("x", failures=1))
    breaker.failed()
    assert b'rag_breaker_state{breaker="x"} 2.0' in generate_latest(telemetry.registry)


def test_a_stage_that_runs_twice_adds_up() -> None:
    telemetry, timings = Telemetry(), {"embed": 5.0}
    with telemetry.stage("embed", timings):
        pass
    assert timings["embed"] >= 5.0
