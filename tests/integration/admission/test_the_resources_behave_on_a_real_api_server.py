from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from rag_operator.api.conditions import ConditionType, Reason, condition, merge
from rag_operator.api.parse import parse_pipeline, parse_tenant
from rag_operator.api.pipeline_status import RagPipelineStatus, TenantCounts
from rag_operator.api.tenant import ActiveRevision, IndexStatus, LastIngestion, RagTenantStatus
from tests.integration.admission.conftest import CRDS, Kubectl
from tests.unit.api.examples import MINIMAL, pipeline, tenant

pytestmark = pytest.mark.integration
PIPELINE, TENANT = yaml.safe_load_all(MINIMAL.read_text())


@pytest.fixture(scope="module")
def minimal(kubectl: Kubectl) -> Kubectl:
    for resource in (TENANT, PIPELINE):
        done = kubectl.apply(resource)
        assert done.returncode == 0, done.stderr
    return kubectl


def set_status(kubectl: Kubectl, kind: str, name: str, status: dict[str, Any]) -> None:
    patch = json.dumps({"status": status})
    kubectl("patch", kind, name, "--subresource=status", "--type=merge", f"--patch={patch}")


def table(kubectl: Kubectl, kind: str, *arguments: str) -> list[list[str]]:
    """Rows of `kubectl get`; columns are three spaces apart."""
    lines = kubectl("get", kind, *arguments).strip().splitlines()
    return [[cell.strip() for cell in line.split("   ") if cell.strip()] for line in lines]


def test_the_definitions_have_no_violation(kubectl: Kubectl) -> None:
    for path in CRDS.glob("*.yaml"):
        name = yaml.safe_load(path.read_text())["metadata"]["name"]
        conditions = kubectl.get("crd", name)["status"]["conditions"]
        held = {c["type"] for c in conditions if c["status"] == "True"}
        assert held == {"Established", "NamesAccepted"}


def test_minimal_resources_show_their_defaults_and_no_choice(minimal: Kubectl) -> None:
    shown = minimal.get("ragp", "support")
    spec = shown["spec"]
    assert spec["deletionPolicy"] == "Retain"
    assert spec["retrieval"]["mode"] == "Hybrid"
    assert spec["ingestion"]["schedule"] == "*/15 * * * *"
    assert spec["database"] == {"managed": {"storage": "10Gi"}, "adopt": ""}
    assert "builtIn" not in spec["embedding"]
    assert "managed" not in spec["cache"]
    assert "scaling" not in spec
    assert parse_pipeline(shown).spec == parse_pipeline(PIPELINE).spec
    assert parse_tenant(minimal.get("ragt", "acme")).spec == parse_tenant(TENANT).spec


def test_applying_again_changes_nothing(minimal: Kubectl) -> None:
    before = minimal.get("ragp", "support")["metadata"]["resourceVersion"]
    assert minimal.apply(PIPELINE).stdout.strip().endswith("unchanged")
    assert minimal.get("ragp", "support")["metadata"]["resourceVersion"] == before


def test_a_tenant_stays_with_its_pipeline(minimal: Kubectl) -> None:
    moved = TENANT | {"spec": TENANT["spec"] | {"pipelineRef": {"name": "other"}}}
    done = minimal.apply(moved)
    assert done.returncode != 0
    assert "spec.pipelineRef" in done.stderr
    assert "a tenant stays with its pipeline: delete the tenant and create it anew, or set it back" in done.stderr


def test_other_fields_of_a_tenant_may_change(minimal: Kubectl) -> None:
    changed = TENANT | {"spec": TENANT["spec"] | {"displayName": "Acme Corp"}}
    assert minimal.apply(changed).returncode == 0


def test_kubectl_get_tells_the_state_at_a_glance(minimal: Kubectl) -> None:
    now = datetime.now(UTC)
    ready = merge([], [condition(ConditionType.READY, False, Reason.SECRET_NOT_FOUND, "create Secret db", 1)], now)
    counts = TenantCounts(total=42, ready=41)
    status = RagPipelineStatus(
        conditions=ready, runtime_version="0.1.0", endpoint="http://support.rag.svc:8000", tenants=counts
    )
    set_status(minimal, "ragp", "support", status.to_dict())
    ended = (now - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    index = IndexStatus(active=ActiveRevision(revision=1, documents=1290))
    tenant_status = RagTenantStatus(
        conditions=ready, index=index, last_ingestion=LastIngestion(finished_at=ended), dead_letters=3
    )
    set_status(minimal, "ragt", "acme", tenant_status.to_dict())

    head, row = table(minimal, "ragp")
    assert head == ["NAME", "READY", "REASON", "TENANTS", "AGE"]
    assert row[:4] == ["support", "False", "SecretNotFound", "41/42"]
    head, row = table(minimal, "ragp", "-o", "wide")
    assert head == ["NAME", "READY", "REASON", "TENANTS", "RUNTIME", "ENDPOINT", "MESSAGE", "AGE"]
    assert row[4:7] == ["0.1.0", "http://support.rag.svc:8000", "create Secret db"]
    head, row = table(minimal, "ragt")
    assert head == ["NAME", "PIPELINE", "READY", "REASON", "DOCUMENTS", "LAST INGESTION", "AGE"]
    assert row[:5] == ["acme", "support", "False", "SecretNotFound", "1290"]
    assert row[5].startswith("5m")
    head, row = table(minimal, "ragt", "-o", "wide")
    assert head[6:9] == ["DEAD", "MESSAGE", "AGE"]
    assert row[6:8] == ["3", "create Secret db"]
    assert "acme" in minimal("get", "ragp,ragt")
    assert "support" in minimal("get", "rag")


def test_a_status_is_kept_whole(minimal: Kubectl) -> None:
    done = minimal.apply(tenant("", {}, name="whole").resource())
    assert done.returncode == 0, done.stderr
    status = {
        "observedGeneration": 1,
        "catalogID": "5d1c",
        "schema": "rag_acme_1f2e3d",
        "apiKeySecretRef": {"name": "acme-api-key"},
        "index": {
            "active": {
                "revision": 4,
                "embeddingModel": "m",
                "documents": 1,
                "chunks": 2,
                "size": "94Mi",
                "promotedAt": "2026-11-21T12:00:00Z",
            },
            "building": {"revision": 5, "percent": 60, "documents": 1, "totalDocuments": 2},
            "retained": [{"revision": 3}],
        },
        "lastIngestion": {
            "startedAt": "2026-11-21T12:00:00Z",
            "finishedAt": "2026-11-21T12:00:01Z",
            "added": 1,
            "updated": 2,
            "deleted": 3,
            "unchanged": 4,
            "failed": 5,
        },
        "deadLetters": 0,
        "lastHandledSyncRequest": "7",
    }
    set_status(minimal, "ragt", "whole", status)
    shown = minimal.get("ragt", "whole")
    assert shown["status"] == status
    assert parse_tenant(shown).status.to_dict() == status | {"conditions": []}


def test_a_pipeline_scales_by_kubectl(kubectl: Kubectl) -> None:
    assert kubectl.apply(pipeline("", {}, name="scaled").resource()).returncode == 0
    set_status(kubectl, "ragp", "scaled", {"replicas": 2, "selector": "a=b"})
    kubectl("scale", "ragp/scaled", "--replicas=3")
    assert kubectl.get("ragp", "scaled")["spec"]["scaling"] == {"replicas": 3}
    path = f"/apis/rag-operator.dev/v1alpha1/namespaces/{kubectl.namespace}/ragpipelines/scaled/scale"
    scale = json.loads(kubectl("get", "--raw", path))
    assert (scale["spec"], scale["status"]) == ({"replicas": 3}, {"replicas": 2, "selector": "a=b"})


def test_an_autoscaled_pipeline_refuses_a_fixed_number(kubectl: Kubectl) -> None:
    ranged = {"scaling": {"minReplicas": 2, "maxReplicas": 4}}
    assert kubectl.apply(pipeline("", ranged, name="ranged").resource()).returncode == 0
    done = kubectl.run("scale", "ragp/ranged", "--replicas=3")
    assert done.returncode != 0
    assert "give either replicas, or minReplicas and maxReplicas" in done.stderr


def test_sources_are_merged_by_name(kubectl: Kubectl) -> None:
    one = tenant("", {}, name="merged").resource()
    two = tenant("", {"sources": [{"name": "b", "volume": {"claimRef": {"name": "b"}}}]}, name="merged").resource()
    assert kubectl.apply(one, "--server-side", "--field-manager=one").returncode == 0
    assert kubectl.apply(two, "--server-side", "--field-manager=two").returncode == 0
    sources = kubectl.get("ragt", "merged")["spec"]["sources"]
    assert [source["name"] for source in sources] == ["a", "b"]
    assert sources[1]["volume"] == {"claimRef": {"name": "b"}, "path": "/"}


def test_kubectl_explain_tells_a_fields_meaning(kubectl: Kubectl) -> None:
    assert "Passages that an answer is made from." in kubectl("explain", "ragp.spec.retrieval.topK")
