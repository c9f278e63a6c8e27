"""Labels, nodes, spread and accounts of pods: what is given reaches the pods it is meant for, and ours stays ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rag_operator.api import names
from rag_operator.build import pods
from rag_operator.build.common import Manifest
from tests.unit.api.pods import HOST, STORE, WORKLOAD, ZONE
from tests.unit.build.samples import (
    PIPELINES,
    RELEASE,
    TENANTS,
    pipeline,
    pipeline_manifests,
    pod_template,
    tenant_manifests,
)

COMPONENTS = ("query", "cache", "postgres", "ingest")


def templates(about: str = "placed") -> dict[str, Manifest]:
    """Pod templates of a pipeline and its tenants by component; the CronJob's for ingestion."""
    of = PIPELINES[about]
    manifests = [*pipeline_manifests(of)]
    for who in TENANTS.values():
        if who.spec.pipeline_ref.name == of.metadata.name:
            manifests += tenant_manifests(of, who)
    found = {m["metadata"]["labels"][names.LABEL_COMPONENT]: pod_template(m) for m in manifests if pod_template(m)}
    return {component: template for component, template in found.items() if template}


@pytest.mark.parametrize("component", COMPONENTS)
def test_what_is_given_reaches_every_kind_of_pod(component: str) -> None:
    template = templates()[component]
    assert STORE["labels"].items() <= template["metadata"]["labels"].items()
    assert STORE["annotations"].items() <= template["metadata"]["annotations"].items()
    spec = template["spec"]
    assert spec["nodeSelector"] == STORE["nodeSelector"]
    assert spec["tolerations"] == [*STORE["tolerations"][:3], {"key": "team", "operator": "Equal"}]
    assert spec["priorityClassName"] == STORE["priorityClassName"]
    assert spec["affinity"]["nodeAffinity"] == STORE["affinity"]["nodeAffinity"]
    assert spec["affinity"]["podAffinity"] == STORE["affinity"]["podAffinity"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_an_absent_selector_stands_for_the_pods_themselves(component: str) -> None:
    template = templates()[component]
    far, preferred = template["spec"]["affinity"]["podAntiAffinity"].values()
    own = {names.LABEL_PIPELINE: "placed", names.LABEL_COMPONENT: component}
    assert far == [{"topologyKey": HOST, "labelSelector": {"matchLabels": own}}]
    assert own.items() <= template["metadata"]["labels"].items()
    assert preferred == STORE["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]


def test_given_spreads_replace_the_default_and_count_each_rollout_apart() -> None:
    own = {names.LABEL_PIPELINE: "placed", names.LABEL_COMPONENT: "query"}
    strict, soft, other = templates()["query"]["spec"]["topologySpreadConstraints"]
    assert strict == {
        "topologyKey": ZONE,
        "whenUnsatisfiable": "DoNotSchedule",
        "maxSkew": 1,
        "minDomains": 2,
        "nodeTaintsPolicy": "Honor",
        "labelSelector": {"matchLabels": own},
        "matchLabelKeys": ["pod-template-hash"],
    }
    assert (soft["maxSkew"], soft["nodeAffinityPolicy"]) == (2, "Ignore")
    assert other["labelSelector"] == WORKLOAD["topologySpreadConstraints"][2]["labelSelector"]
    assert "matchLabelKeys" not in other
    default = templates("minimal")["query"]["spec"]["topologySpreadConstraints"]
    assert [one["whenUnsatisfiable"] for one in default] == ["ScheduleAnyway", "ScheduleAnyway"]


def test_ingestion_pods_are_spread_over_all_tenants_and_only_where_asked() -> None:
    strict = templates()["ingest"]["spec"]["topologySpreadConstraints"][0]
    assert strict["labelSelector"]["matchLabels"] == {names.LABEL_PIPELINE: "placed", names.LABEL_COMPONENT: "ingest"}
    assert "matchLabelKeys" not in strict
    assert "topologySpreadConstraints" not in templates("minimal")["ingest"]["spec"]


def test_labels_of_ours_would_win_over_given_ones() -> None:
    given = pipeline({"database": {"managed": {}}, "query": {"pod": {"labels": {"a": "theirs"}}}}).spec.query.pod
    template = pods.template({"labels": {"a": "ours"}, "annotations": {"b": "ours"}}, {"nodeSelector": {}}, given, {})
    assert template["metadata"] == {"labels": {"a": "ours"}, "annotations": {"b": "ours"}}


def test_pods_have_an_account_only_where_a_cloud_is_to_know_it() -> None:
    accounts = {account["metadata"]["name"]: account for account in pods.service_accounts(PIPELINES["placed"])}
    assert templates()["query"]["spec"]["serviceAccountName"] == "placed-query"
    assert templates()["ingest"]["spec"]["serviceAccountName"] == "placed-ingestion"
    assert accounts.keys() == {"placed-query", "placed-ingestion"}
    for account in accounts.values():
        assert account["automountServiceAccountToken"] is False
        assert account["metadata"]["annotations"] == WORKLOAD["serviceAccountAnnotations"]
    assert not any(pods.is_wanted(account) for account in pods.service_accounts(PIPELINES["minimal"]))
    assert all(
        not {"serviceAccountName", "serviceAccount"} & template["spec"].keys()
        for template in templates("minimal").values()
    )
    assert all("serviceAccountName" not in templates()[store]["spec"] for store in ("cache", "postgres"))


def pulled(manifest: Manifest) -> list[Any]:
    template = pod_template(manifest)
    return template["spec"].get("imagePullSecrets", []) if template else []


def test_the_charts_pull_secrets_reach_every_pod_and_the_pipelines_its_own_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.unit.build.samples.RELEASE", replace(RELEASE, pull_secrets=("mirror", "own")))
    spec = {"database": {"managed": {}}, "query": {"imagePullSecrets": [{"name": "own"}, {"name": "more"}]}}
    of, found = pipeline(spec), {}
    for manifest in (*pipeline_manifests(of), *tenant_manifests(of, TENANTS["of all sources"])):
        if pod_template(manifest):
            found[manifest["metadata"]["labels"][names.LABEL_COMPONENT]] = [one["name"] for one in pulled(manifest)]
    assert found == {
        "query": ["mirror", "own", "more"],
        "ingest": ["mirror", "own", "more"],
        "cache": ["mirror", "own"],
        "postgres": ["mirror", "own"],
    }
