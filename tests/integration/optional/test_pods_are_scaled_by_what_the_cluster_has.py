"""G1: an autoscaler of ours or KEDA's, on the real kinds; the hand-over, and what is said where nothing can scale."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag_operator.build.common import Manifest
from rag_operator.kube.apply import covers
from rag_operator.kube.kinds import SCALED_OBJECT, kind_of
from tests.cluster.fixtures import Kubernetes
from tests.cluster.optional_kinds import KEDA
from tests.integration.optional.conftest import install, remove
from tests.integration.optional.custom_metrics import adapter
from tests.support.operator import World, eventually, pipeline
from tests.unit.build.samples import all_manifests

pytestmark = pytest.mark.integration
SCALED = "scaledobjects.keda.sh"
HPA = "horizontalpodautoscaler"
IN_FLIGHT = [{"type": "InFlight", "averageValue": 8}]
PROMETHEUS = {"prometheus": {"address": "http://prometheus.monitoring:9090"}}
MINE = {about: m for about, m in all_manifests().items() if kind_of(m) is SCALED_OBJECT}


@pytest.fixture
def keda(own_api: Kubernetes) -> Iterator[None]:
    """KEDA's kinds, without KEDA: nothing but the operator acts on them."""
    install(own_api, KEDA)
    yield
    remove(own_api, KEDA)


def ranged(least: int = 3, metrics: list[dict[str, Any]] | None = None, **spec: Any) -> dict[str, Any]:
    scaling = {"minReplicas": least, "maxReplicas": 9} | ({"metrics": metrics} if metrics else {})
    return pipeline(scaling=scaling, **spec)


def there(here: World, kind: str) -> dict[str, Any] | None:
    return here.get(kind, "support-query")


def replicas(here: World) -> int | None:
    live = here.get("deployment", "support-query")
    return live["spec"]["replicas"] if live else None


def test_the_api_server_takes_scaled_objects_and_gives_them_back_unchanged(own_api: Kubernetes, keda: None) -> None:
    assert MINE
    with own_api.namespace("scaled") as namespace:
        for about, manifest in MINE.items():
            placed: Manifest = manifest | {"metadata": manifest["metadata"] | {"namespace": namespace}}
            path = kind_of(manifest).path(namespace, manifest["metadata"]["name"])
            query = "dryRun=All&fieldManager=test&force=true&fieldValidation=Strict"
            live = own_api.client.call("PATCH", f"{path}?{query}", placed, "application/apply-patch+yaml")
            assert covers(live, {"spec": manifest["spec"]}), about


def test_without_either_the_pods_stay_at_the_minimum_and_the_mend_is_said(here: World, database: str) -> None:
    here.operator(resync_seconds="2")
    here.apply(ranged(metrics=IN_FLIGHT), here.database_secret(database))
    said = here.wait_condition("ragpipeline", "support", "Degraded", "ScalingUnavailable")
    assert "spec.scaling.metrics InFlight" in said["message"]
    assert "install KEDA" in said["message"]
    assert here.condition("ragpipeline", "support", "Ready")["reason"] != "ScalingUnavailable"
    assert replicas(here) == 3
    assert not there(here, HPA)
    told = eventually(lambda: _events(here), "an Event")
    assert [(event["type"], event["message"]) for event in told] == [("Warning", said["message"])]
    here.apply(ranged(5, metrics=IN_FLIGHT))
    eventually(lambda: replicas(here) == 5, "a raised minimum is followed")
    here.apply(ranged(5, metrics=[{"type": "CPU"}, *IN_FLIGHT]))
    eventually(lambda: there(here, HPA), "CPU can be had")
    eventually(lambda: "only CPU" in here.condition("ragpipeline", "support", "Degraded")["message"], "it is said")


def _events(here: World) -> list[dict[str, Any]]:
    text = here.kubectl("get", "events", "--field-selector=reason=ScalingUnavailable", "-o", "json")
    found: list[dict[str, Any]] = json.loads(text)["items"]
    return found


def test_the_number_never_falls_while_it_goes_from_hand_to_hand(
    here: World, own_api: Kubernetes, database: str
) -> None:
    """Watched at each write: one replica for a moment is an outage for all but one pod's clients."""
    here.operator(resync_seconds="2")
    here.apply(pipeline(scaling={"replicas": 4}), here.database_secret(database))
    eventually(lambda: replicas(here) == 4, "four pods")
    seen = _Watched(here)
    here.apply(ranged())
    eventually(lambda: there(here, HPA), "an autoscaler of ours")
    install(own_api, KEDA)
    try:
        here.apply(ranged(metrics=IN_FLIGHT, observability=PROMETHEUS))
        eventually(lambda: there(here, SCALED), "KEDA's")
        assert not there(here, HPA)
        here.kubectl("scale", "deployment", "support-query", "--replicas=7")
        here.apply(ranged(least=2, metrics=IN_FLIGHT, observability=PROMETHEUS))
        eventually(lambda: (there(here, SCALED) or {})["spec"]["minReplicaCount"] == 2, "the operator has looked since")
        assert replicas(here) == 7
        here.apply(ranged())
        eventually(lambda: there(here, HPA), "ours again")
        assert not there(here, SCALED)
        here.apply(ranged(metrics=IN_FLIGHT, observability=PROMETHEUS))
        eventually(lambda: there(here, SCALED) and not there(here, HPA), "KEDA's again")
    finally:
        remove(own_api, KEDA)
    here.wait_condition("ragpipeline", "support", "Degraded", "ScalingUnavailable")
    assert replicas(here) == 7
    here.kubectl("scale", "deployment", "support-query", "--replicas=8")
    assert seen.least(until=8) >= 4
    here.apply(pipeline(scaling={"replicas": 3}))
    eventually(lambda: replicas(here) == 3, "the spec owns the number again")
    here.wait_condition("ragpipeline", "support", "Degraded", "AsExpected")


class _Watched:
    """`kubectl get --watch` of the Deployment's replicas."""

    def __init__(self, here: World) -> None:
        self._file = here.folder / "replicas"
        program = [here.api.kubectl_program, "--kubeconfig", str(here.api.kubeconfig), "-n", here.namespace]
        with self._file.open("wb") as output:
            self._process = subprocess.Popen(
                [*program, "get", "deployment", "support-query", "--watch", "-o", 'jsonpath={.spec.replicas}{"\\n"}'],
                stdout=output,
            )
        eventually(self._file.read_text, "the watch tells")

    def least(self, until: int) -> int:
        """Of all numbers before that one, which the watch has yet to tell."""
        eventually(lambda: f"{until}\n" in self._file.read_text(), f"the watch tells of {until}")
        self._process.terminate()
        self._process.wait(60)
        return min(int(line) for line in self._file.read_text().split())


def test_figures_of_the_custom_metrics_api_are_used_by_an_autoscaler_of_ours(
    here: World, own_api: Kubernetes, database: str, tmp_path: Path
) -> None:
    here.operator(resync_seconds="2")
    latency = [{"type": "LatencyP95", "threshold": "2s"}]
    with adapter(own_api, tmp_path, "rag_query_in_flight_requests"):
        here.apply(ranged(metrics=IN_FLIGHT), here.database_secret(database))
        hpa = eventually(lambda: there(here, HPA), "an autoscaler by the adapter's figure")
        assert hpa is not None
        assert hpa["spec"]["metrics"][0]["pods"]["metric"]["name"] == "rag_query_in_flight_requests"
        here.wait_condition("ragpipeline", "support", "Degraded", "AsExpected")
        here.apply(ranged(metrics=[*IN_FLIGHT, *latency]))
        said = here.wait_condition("ragpipeline", "support", "Degraded", "ScalingUnavailable")
        assert "pods/rag_query_request_seconds_p95" in json.dumps(said)
