"""G1: who scales, given the spec and what the cluster has; and what is said where nothing can."""

from __future__ import annotations

import pytest

from rag_operator.api.formats import Duration
from rag_operator.api.resolve import Replicas
from rag_operator.api.scaling import MetricType, ScalingMetric
from rag_operator.decide.scaling import Cluster, Scaler, plan

CPU = ScalingMetric(type=MetricType.CPU)
IN_FLIGHT = ScalingMetric(type=MetricType.IN_FLIGHT, average_value=8)
LATENCY = ScalingMetric(type=MetricType.LATENCY_P95, threshold=Duration("2s"))
FIGURE = "rag_query_in_flight_requests"
NOTHING = Cluster(False, frozenset(), None)
PROMETHEUS = "http://prometheus:9090"


def ranged(*metrics: ScalingMetric) -> Replicas:
    return Replicas(None, 2, 9, metrics)


def test_a_fixed_number_is_nobody_s_to_change() -> None:
    assert plan(Replicas(3, 3, 3), Cluster(True, frozenset({FIGURE}), PROMETHEUS)).scaler is Scaler.FIXED


def test_cpu_alone_needs_nothing_that_others_install() -> None:
    for cluster in (NOTHING, Cluster(None, None, None), Cluster(True, frozenset(), PROMETHEUS)):
        found = plan(ranged(CPU), cluster)
        assert (found.scaler, found.metrics, found.check.ok) == (Scaler.HPA, (CPU,), True)


@pytest.mark.parametrize(
    ("cluster", "scaler"),
    [
        (Cluster(True, frozenset({FIGURE}), PROMETHEUS), Scaler.KEDA),
        (Cluster(True, None, PROMETHEUS), Scaler.KEDA),
        (Cluster(True, frozenset({FIGURE}), None), Scaler.HPA),
        (Cluster(False, frozenset({FIGURE}), PROMETHEUS), Scaler.HPA),
        (Cluster(None, frozenset({FIGURE}), PROMETHEUS), Scaler.HPA),
    ],
)
def test_keda_where_it_knows_a_prometheus_else_the_custom_metrics_api(cluster: Cluster, scaler: Scaler) -> None:
    found = plan(ranged(CPU, IN_FLIGHT), cluster)
    assert (found.scaler, found.metrics, found.check.ok) == (scaler, (CPU, IN_FLIGHT), True)


def test_where_nothing_is_there_the_mend_is_said_and_nobody_scales() -> None:
    found = plan(ranged(IN_FLIGHT, LATENCY), NOTHING)
    assert (found.scaler, found.check.ok, found.check.reason) == (Scaler.NOBODY, False, "ScalingUnavailable")
    for word in ("InFlight and LatencyP95", "install KEDA", f"pods/{FIGURE}", "at least 2"):
        assert word in found.check.message


def test_cpu_goes_on_scaling_where_the_other_figures_lack() -> None:
    found = plan(ranged(CPU, LATENCY), Cluster(False, frozenset({FIGURE}), None))
    assert (found.scaler, found.metrics, found.check.ok) == (Scaler.HPA, (CPU,), False)
    assert "only CPU counts" in found.check.message


def test_keda_without_an_address_is_told_the_field() -> None:
    message = plan(ranged(LATENCY), Cluster(True, frozenset(), None)).check.message
    assert "spec.observability.prometheus" in message


@pytest.mark.parametrize("cluster", [Cluster(None, frozenset(), PROMETHEUS), Cluster(False, None, PROMETHEUS)])
def test_what_is_not_known_changes_nothing(cluster: Cluster) -> None:
    assert plan(ranged(IN_FLIGHT), cluster).scaler is Scaler.AS_IT_IS
