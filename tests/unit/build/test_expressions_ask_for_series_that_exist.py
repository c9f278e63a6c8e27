"""H2: no alert waits for what nobody exports: expressions are parsed, and each series looked up in our code."""

from __future__ import annotations

from typing import Any

import pytest

from rag_operator.build import monitors
from tests.support.promql import GIVEN_BY_PROMETHEUS, asked, exported, known_values
from tests.unit.build.samples import PIPELINES, pipeline
from tests.unit.chart.conftest import Helm, helm  # noqa: F401  a fixture

EXPORTED = exported()
VALUES = known_values()


def check(expression: str, scope: set[str]) -> None:
    """The expression is PromQL of series that exist, with labels that they have and values that these may be."""
    series = asked(expression)
    assert series, "it selects nothing"
    for one in series:
        assert one.name in EXPORTED, f"{one.name} is exported by nobody"
        assert scope <= one.labels.keys(), f"{one.name} is not narrowed to {scope}"
        for label, values in one.labels.items():
            if label in GIVEN_BY_PROMETHEUS:
                continue
            assert label in EXPORTED[one.name], f"{one.name} has no label {label}"
            assert values <= VALUES[label], f"{label} of {one.name} is never {sorted(values - VALUES[label])}"


def rules(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for group in manifest["spec"]["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("about", PIPELINES)
def test_alerts_of_a_pipeline(about: str) -> None:
    manifest = monitors.prometheus_rule(PIPELINES[about])
    assert manifest is not None
    for rule in rules(manifest):
        check(rule["expr"], {"namespace", "pipeline"})
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]


def test_alerts_of_the_operator(helm: Helm) -> None:  # noqa: F811
    (manifest,) = (m for m in helm.template({"metrics": {"prometheusRule": {"enabled": True}}}) if _is_rule(m))
    alerts = {rule["alert"] for rule in rules(manifest)}
    assert alerts == {
        "RagOperatorNoLeader",
        "RagOperatorReconcilesFail",
        "RagOperatorQueueOld",
        "RagOperatorWatchStale",
        "RagOperatorDatabaseBreakerOpen",
        "RagResourcesDegraded",
        "RagResourcesNotReady",
        "RagIngestionFails",
        "RagIndexStale",
    }
    for rule in rules(manifest):
        check(rule["expr"], {"namespace", "service"})


def _is_rule(manifest: dict[str, Any]) -> bool:
    return bool(manifest["kind"] == "PrometheusRule")


def test_an_alert_on_what_the_spec_turns_off_is_left_out() -> None:
    quiet = {"retrieval": {"mode": "Lexical"}, "cache": {"exact": {"enabled": False}}}
    manifest = monitors.prometheus_rule(pipeline({"database": {"managed": {}}} | quiet))
    assert manifest is not None
    assert {rule["alert"] for rule in rules(manifest)} == {"RagRequestsFail", "RagRetrievalSlow", "RagRetrievalsEmpty"}


def test_the_spec_may_want_neither_monitor_nor_alerts() -> None:
    off = {"serviceMonitor": {"enabled": False}, "alerts": {"enabled": False}}
    one = pipeline({"database": {"managed": {}}, "observability": off})
    assert monitors.service_monitor(one) is None
    assert monitors.prometheus_rule(one) is None


def test_labels_of_the_user_s_choice_do_not_replace_ours() -> None:
    chosen = {"serviceMonitor": {"labels": {"release": "prom", "app.kubernetes.io/managed-by": "me"}}}
    manifest = monitors.service_monitor(pipeline({"database": {"managed": {}}, "observability": chosen}))
    assert manifest is not None
    labels = manifest["metadata"]["labels"]
    assert (labels["release"], labels["app.kubernetes.io/managed-by"]) == ("prom", "rag-operator")


@pytest.mark.parametrize(
    "wrong",
    [
        "sum(rag_query_requests_total{",
        'rag_query_request{namespace="a",pipeline="b"}',
        'rag_query_requests_total{namespace="a",pipeline="b",code="500"}',
        'rag_query_requests_total{namespace="a",pipeline="b",outcome="broken"}',
        'rag_query_requests_total{namespace="a"}',
    ],
)
def test_what_is_wrong_is_noticed(wrong: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        check(wrong, {"namespace", "pipeline"})
