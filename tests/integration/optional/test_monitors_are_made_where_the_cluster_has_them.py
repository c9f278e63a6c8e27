"""A2, H1, H2: ServiceMonitor and PrometheusRule on the kinds of the real Prometheus operator, which come and go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_operator.build.common import Manifest
from rag_operator.kube.apply import covers
from rag_operator.kube.kinds import PROMETHEUS_RULE, SERVICE_MONITOR, kind_of
from tests.cluster.fixtures import Kubernetes
from tests.cluster.optional_kinds import PROMETHEUS_OPERATOR
from tests.integration.optional.conftest import install, remove
from tests.support.looks import looks, settles
from tests.support.operator import World, eventually, pipeline
from tests.support.webhooks import unanswered
from tests.unit.build.samples import all_manifests

pytestmark = pytest.mark.integration
CHART = Path(__file__).parents[3] / "charts" / "rag-operator"
MONITORS = "servicemonitors.monitoring.coreos.com"
RULES = "prometheusrules.monitoring.coreos.com"
MINE = {
    about: manifest
    for about, manifest in all_manifests().items()
    if kind_of(manifest) in (SERVICE_MONITOR, PROMETHEUS_RULE)
}


@pytest.fixture
def installed(own_api: Kubernetes) -> Iterator[None]:
    """The kinds, and gone afterwards."""
    install(own_api, PROMETHEUS_OPERATOR)
    yield
    remove(own_api, PROMETHEUS_OPERATOR)


def _there(here: World, kind: str) -> dict[str, Any] | None:
    return here.get(kind, "support-query")


def test_the_api_server_takes_them_and_gives_them_back_unchanged(own_api: Kubernetes, installed: None) -> None:
    assert len(MINE) >= 4
    with own_api.namespace("monitors") as namespace:
        for about, manifest in MINE.items():
            here: Manifest = manifest | {"metadata": manifest["metadata"] | {"namespace": namespace}}
            path = kind_of(manifest).path(namespace, manifest["metadata"]["name"])
            query = "dryRun=All&fieldManager=test&force=true&fieldValidation=Strict"
            live = own_api.client.call("PATCH", f"{path}?{query}", here, "application/apply-patch+yaml")
            assert covers(live, {"spec": manifest["spec"]}), about


def _monitor_labels(here: World) -> list[str]:
    return list((_there(here, MONITORS) or {})["metadata"]["labels"].values())


def test_they_come_with_the_kinds_and_go_with_the_spec_and_a_kind_that_goes_is_no_error(
    here: World, own_api: Kubernetes, database: str
) -> None:
    replica = here.operator(resync_seconds="2")
    here.apply(pipeline(), here.database_secret(database))
    eventually(lambda: here.get("deployment", "support-query"), "the rest does not wait for them")
    install(own_api, PROMETHEUS_OPERATOR)
    try:
        monitor = eventually(lambda: _there(here, MONITORS), "the ServiceMonitor")
        assert monitor is not None
        assert monitor["metadata"]["ownerReferences"][0]["kind"] == "RagPipeline"
        service = here.get("service", "support") or {}
        assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
        eventually(lambda: _there(here, RULES), "the PrometheusRule")
        settles(here, replica)

        here.kubectl("patch", MONITORS, "support-query", "--type=merge", "-p", '{"spec":{"endpoints":[]}}')
        eventually(lambda: (_there(here, MONITORS) or {})["spec"]["endpoints"], "another hand's change is undone")
        here.kubectl("delete", RULES, "support-query")
        eventually(lambda: _there(here, RULES), "what was deleted comes back")
        chosen = {"serviceMonitor": {"labels": {"release": "prom"}}, "alerts": {"enabled": False}}
        here.apply(pipeline(observability=chosen))
        eventually(lambda: not _there(here, RULES), "what the spec no longer wants goes")
        eventually(lambda: "prom" in _monitor_labels(here), "the labels asked for")
        here.apply(pipeline(observability={"serviceMonitor": {"enabled": False}}))
        eventually(lambda: not _there(here, MONITORS), "it goes as well")
        here.apply(pipeline())
        eventually(lambda: _there(here, MONITORS), "and comes back")
    finally:
        remove(own_api, PROMETHEUS_OPERATOR)
    looks(replica, 3)
    assert here.condition("ragpipeline", "support", "Degraded")["status"] == "False"
    settles(here, replica)
    install(own_api, PROMETHEUS_OPERATOR)
    try:
        eventually(lambda: _there(here, MONITORS), "it comes again with the kind")
    finally:
        remove(own_api, PROMETHEUS_OPERATOR)


def test_a_monitor_of_the_name_that_is_another_s_stops_nothing_else(
    here: World, installed: None, database: str
) -> None:
    here.apply(
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "ServiceMonitor",
            "metadata": {"name": "support-query"},
            "spec": {"selector": {}, "endpoints": []},
        }
    )
    here.operator(resync_seconds="2")
    here.apply(pipeline(), here.database_secret(database))
    eventually(lambda: here.get("deployment", "support-query"), "the query pods' Deployment")
    said = here.wait_condition("ragpipeline", "support", "Degraded", "NameTaken")
    assert "ServiceMonitor" in said["message"]
    assert here.condition("ragpipeline", "support", "Ready")["reason"] != "NameTaken"
    here.kubectl("delete", MONITORS, "support-query")
    here.wait_condition("ragpipeline", "support", "Degraded", "AsExpected", 180)


def test_a_webhook_of_monitors_that_does_not_answer_stops_nothing_else(
    here: World, installed: None, database: str
) -> None:
    here.operator(resync_seconds="2")
    with unanswered(here, "monitoring.coreos.com", "prometheusrules") as webhook:
        here.apply(pipeline(), here.database_secret(database))
        said = here.wait_condition("ragpipeline", "support", "Degraded", "ReconcileFailed")
        assert webhook in said["message"]
        here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
        assert here.condition("ragpipeline", "support", "Ready")["reason"] != "ReconcileFailed"
    here.wait_condition("ragpipeline", "support", "Degraded", "AsExpected", 180)
    assert _there(here, RULES)


def test_the_chart_s_own_are_taken_too(own_api: Kubernetes, installed: None) -> None:
    wanted = ("metrics.serviceMonitor.enabled=true", "metrics.prometheusRule.enabled=true")
    text = own_api.helm("template", "rag-operator", str(CHART), *(f"--set={value}" for value in wanted))
    mine = [m for m in yaml.safe_load_all(text) if m and m["kind"] in ("ServiceMonitor", "PrometheusRule")]
    assert len(mine) == 2
    with own_api.namespace("chart") as namespace:
        for manifest in mine:
            placed = manifest | {"metadata": manifest["metadata"] | {"namespace": namespace}}
            path = kind_of(manifest).path(namespace)
            assert own_api.client.call("POST", f"{path}?dryRun=All&fieldValidation=Strict", placed)
