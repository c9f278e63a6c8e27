"""Row A12: what is built for a tenant in another namespace than its pipeline's, and who reaches the database then."""

from __future__ import annotations

from typing import Any

from rag_operator.api import names
from rag_operator.api.pipeline import RagPipeline
from rag_operator.api.tenant import RagTenant
from rag_operator.build import common, ingest, network
from rag_operator.build.common import Manifest
from tests.cluster import policies
from tests.unit.build.samples import (
    NAMESPACE,
    PIPELINES,
    RELEASE,
    guest,
    network_inputs,
    pipeline,
    tenant,
    tenant_manifests,
)

DATABASE = "10.77.0.1"
NAMESPACES = {
    "rag": {},
    "sales": {"kubernetes.io/metadata.name": "sales", "rag.example/tenants": "true"},
    "other": {"kubernetes.io/metadata.name": "other"},
}
BOTH, NEITHER = (True, True), (False, False)
ALLOWED = PIPELINES["of labelled namespaces"]


def pod_labels(of: RagPipeline, who: RagTenant) -> dict[str, str]:
    job = ingest.ingest_job(of, who, RELEASE, ingest.IngestInputs("c"), "request")
    found: dict[str, str] = job["spec"]["template"]["metadata"]["labels"]
    return found


def ways_opened(made: list[Manifest], namespace: str, labels: dict[str, str]) -> tuple[bool, bool]:
    """Out of the pod, and into the database, by the rules that the local cluster's network makes of the policies."""
    store = names.pipeline_selector("shared", names.COMPONENT_POSTGRES)
    pods = (policies.Pod("rag", DATABASE, store), policies.Pod(namespace, "10.77.0.2", labels))
    labelled = {name: NAMESPACES[name] | {"kubernetes.io/metadata.name": name} for name in NAMESPACES}
    script = policies.rules(made, policies.Known(pods, labelled))
    out, into = "-s 10.77.0.2/32 -d 10.77.0.1/32", "-d 10.77.0.1/32 -s 10.77.0.2/32"
    opened = [line for line in script if "--set-xmark 0x0" in line and "--dport 5432" in line]
    assert any(f"-d {DATABASE}/32 -m mark" in line for line in script), "the database is closed"
    assert any("-s 10.77.0.2/32 -m mark" in line for line in script), "the caller is closed"
    return any(out in line for line in opened), any(into in line for line in opened)


def policies_of(of: RagPipeline, *guests: RagTenant) -> list[Manifest]:
    inputs = network_inputs(of)
    own = network.network_policies(of, inputs).values()
    return [one for one in (*own, *(network.guest_policy(of, who, inputs) for who in guests)) if one]


def test_everything_of_a_guest_is_in_its_namespace_and_owned_by_it() -> None:
    for manifest in tenant_manifests(ALLOWED, guest()):
        meta = manifest["metadata"]
        assert meta["namespace"] == "sales"
        assert [owner["kind"] for owner in meta["ownerReferences"]] == ["RagTenant"]
        assert meta["labels"][names.LABEL_PIPELINE_NAMESPACE] == NAMESPACE


def test_a_tenant_beside_its_pipeline_is_built_the_same_whether_or_not_it_says_where() -> None:
    said = tenant({"pipelineRef": {"name": "shared", "namespace": NAMESPACE}})
    assert list(tenant_manifests(ALLOWED, said)) == list(tenant_manifests(ALLOWED, tenant(of="shared")))
    assert names.LABEL_PIPELINE_NAMESPACE not in common.tenant_labels(said, names.COMPONENT_INGEST)


def test_guests_of_allowed_namespaces_reach_the_database_and_those_of_others_do_not() -> None:
    labels = pod_labels(ALLOWED, guest())
    assert ways_opened(policies_of(ALLOWED, guest()), "sales", labels) == BOTH
    stranger = guest("other")
    assert not ways_opened(policies_of(ALLOWED, stranger), "other", pod_labels(ALLOWED, stranger))[1]
    everyone = pipeline({"database": {"managed": {}}, "tenancy": {"namespaces": {"from": "All"}}}, "shared")
    assert ways_opened(policies_of(everyone, stranger), "other", pod_labels(everyone, stranger)) == BOTH
    own = pod_labels(ALLOWED, tenant(of="shared"))
    assert ways_opened(policies_of(ALLOWED), "rag", own) == BOTH


def test_pods_of_a_pipeline_of_the_same_name_elsewhere_do_not_reach_it() -> None:
    there = pipeline(name="shared", namespace="sales")
    labels = pod_labels(there, tenant(of="shared", namespace="sales"))
    assert names.LABEL_PIPELINE_NAMESPACE not in labels
    made = [*policies_of(ALLOWED, guest()), *policies_of(there)]
    assert ways_opened(made, "sales", labels) == NEITHER
    beside = tenant({"pipelineRef": {"name": "shared", "namespace": "sales"}})
    theirs = pod_labels(there, beside)
    assert theirs[names.LABEL_PIPELINE_NAMESPACE] == "sales"
    made = [*policies_of(ALLOWED), *policies_of(there, beside)]
    assert ways_opened(made, "rag", theirs) == NEITHER, "a guest of another pipeline, beside ours"


def test_a_guest_goes_where_its_pipelines_own_tenants_go() -> None:
    for about in ("minimal", "hosted"):
        of = PIPELINES[about]
        inputs = network_inputs(of)
        own, theirs = (
            network.network_policies(of, inputs)["support-ingestion"],
            network.guest_policy(of, guest(), inputs),
        )
        assert own and theirs
        assert [_plain(rule) for rule in theirs["spec"]["egress"]] == [_plain(rule) for rule in own["spec"]["egress"]]
        assert theirs["spec"]["ingress"] == []


def _plain(rule: dict[str, Any]) -> dict[str, Any]:
    home = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}}
    return rule | {"to": [{k: v for k, v in peer.items() if home.get(k) != v} for peer in rule.get("to", [])]}


def test_its_pods_are_spread_over_guests_of_the_pipeline_there() -> None:
    cron = ingest.ingest_cron_job(ALLOWED, guest(), RELEASE, ingest.IngestInputs("c"))
    pod = cron["spec"]["jobTemplate"]["spec"]["template"]
    chosen = [one["labelSelector"] for one in pod["spec"]["topologySpreadConstraints"]]
    assert {"matchLabels": common.guest_selector(ALLOWED)} in chosen
    assert common.guest_selector(ALLOWED).items() <= pod["metadata"]["labels"].items()


def test_without_policies_a_guest_has_none() -> None:
    of = pipeline({"database": {"managed": {}}, "access": {"networkPolicy": {"enabled": False}}})
    assert network.guest_policy(of, guest(of="support"), network_inputs(of)) is None


def test_a_managed_database_is_named_so_that_other_namespaces_find_it() -> None:
    assert common.service_host("support-postgres", NAMESPACE) == "support-postgres.rag.svc"
