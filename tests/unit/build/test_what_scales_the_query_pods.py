"""G1: the HorizontalPodAutoscaler and KEDA's ScaledObject, by what the spec names."""

from __future__ import annotations

from typing import Any

from rag_operator.api import resolve
from rag_operator.build import query, scaling
from tests.unit.build.samples import PIPELINES, RELEASE
from tests.unit.build.test_expressions_ask_for_series_that_exist import check

PROMETHEUS = "http://prometheus.monitoring:9090"


def hpa(about: str) -> dict[str, Any]:
    one = PIPELINES[about]
    return dict(scaling.query_hpa(one, resolve.replicas(one.spec.scaling).metrics)["spec"])


def scaled(about: str) -> dict[str, Any]:
    one = PIPELINES[about]
    return dict(scaling.scaled_object(one, resolve.replicas(one.spec.scaling).metrics, PROMETHEUS)["spec"])


def test_a_range_alone_is_scaled_by_cpu() -> None:
    spec = hpa("hosted")
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 5)
    deployment = query.query_deployment(PIPELINES["hosted"], RELEASE, query.QueryInputs("c", {}, None))
    assert spec["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    (metric,) = spec["metrics"]
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}


def test_figures_of_pods_are_asked_for_by_the_names_of_the_contract() -> None:
    cpu, in_flight, latency = hpa("scaled by all figures")["metrics"]
    assert cpu["resource"]["target"]["averageUtilization"] == 55
    assert in_flight["pods"] == {
        "metric": {"name": "rag_query_in_flight_requests"},
        "target": {"type": "AverageValue", "averageValue": "8"},
    }
    assert latency["pods"]["metric"]["name"] == "rag_query_request_seconds_p95"
    assert latency["pods"]["target"]["averageValue"] == "1500m"


def test_keda_asks_prometheus_and_never_goes_below_the_minimum() -> None:
    spec = scaled("scaled by all figures")
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (1, 9)
    cpu, in_flight, latency = spec["triggers"]
    assert (cpu["type"], cpu["metricType"], cpu["metadata"]) == ("cpu", "Utilization", {"value": "55"})
    assert (in_flight["metricType"], in_flight["metadata"]["threshold"]) == ("AverageValue", "8")
    assert (latency["metricType"], latency["metadata"]["threshold"]) == ("Value", "1.5")
    assert in_flight["metadata"]["serverAddress"] == PROMETHEUS
    for trigger in (in_flight, latency):
        check(trigger["metadata"]["query"], {"namespace", "pipeline"})
