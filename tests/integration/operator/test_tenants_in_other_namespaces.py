"""A12: tenants in other namespaces, by their pipeline's allow-list: what is made, what is refused, what heals."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.looks import idles
from tests.support.operator import COLLECTED, EVERYONE, HANDBOOK, World, eventually, pipeline, tenant
from tests.support.scoped import under_the_charts_roles

pytestmark = pytest.mark.integration
CHART = Path(__file__).parents[3] / "charts" / "rag-operator"
LABEL = "rag.example/tenants"
CHOSEN = {"namespaces": {"from": "Selector", "selector": {"matchLabels": {LABEL: "true"}}}}
MADE = "secrets,configmaps,cronjobs,jobs,networkpolicies,serviceaccounts"
OURS = "app.kubernetes.io/managed-by=rag-operator"


def start(here: World, there: World, **settings: str) -> None:
    here.operator(watch_namespaces=f"{here.namespace},{there.namespace}", **settings)


def guest(here: World, name: str = "acme", **spec: Any) -> dict[str, Any]:
    return tenant(name, **({"pipelineRef": {"name": "support", "namespace": here.namespace}} | spec))


def allow(there: World, value: str = "true") -> None:
    there.api.kubectl("label", "namespace", there.namespace, "--overwrite", f"{LABEL}={value}")


def names(of: World, selector: str = OURS, kinds: str = MADE) -> list[str]:
    return of.kubectl("get", kinds, "-l", selector, "-o", "name").split()


def rows(dsn: str) -> dict[str, tuple[str, int, bool]]:
    """By namespace: state, number of API keys and openness of the only tenant that the catalog has there."""
    with psycopg.connect(dsn) as admin:
        catalog = admin.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ '^rag_[0-9a-f]{12}$'").fetchall()[0][
            0
        ]
        admin.execute(f"SET ROLE {catalog}_owner")
        found = admin.execute(
            "SELECT t.namespace, t.state, cardinality(t.api_keys), p.open"
            f" FROM {catalog}.tenant t JOIN {catalog}.pointer p ON p.tenant = t.id"
        ).fetchall()
    return {str(row[0]): (str(row[1]), int(row[2]), bool(row[3])) for row in found}


def status(of: World, kind: str = "ragtenant", name: str = "acme") -> dict[str, Any]:
    found: dict[str, Any] = (of.get(kind, name) or {}).get("status", {})
    return found


def test_all_that_is_a_guests_is_made_beside_it_kept_and_left_alone_when_idle(
    here: World, there: World, database: str
) -> None:
    allow(there)
    start(here, there, resync_seconds="2")
    here.apply(pipeline(tenancy=CHOSEN), here.database_secret(database))
    there.apply(guest(here, suspend=True), HANDBOOK)
    there.wait_condition("ragtenant", "acme", "Ready", "Suspended")
    made = names(there)
    for name in ("secret/acme-api-key", "secret/acme-ingest-db", "cronjob.batch/acme-ingest"):
        assert name in made
    assert "networkpolicy.networking.k8s.io/acme-ingest" in made
    assert not [name for name in made if "support" in name], "nothing of the pipeline's is copied"
    for name in made:
        meta = json.loads(there.kubectl("get", name, "-o", "json"))["metadata"]
        assert [owner["kind"] for owner in meta["ownerReferences"]] == ["RagTenant"]
    assert names(here, "rag-operator.dev/tenant") == []
    eventually(lambda: status(here, "ragpipeline", "support").get("tenants", {}).get("total") == 1, "it is counted")
    there.kubectl("delete", "networkpolicy", "acme-ingest")
    eventually(lambda: there.get("networkpolicy", "acme-ingest"), "the policy comes back")
    idles(here, here.replicas[0])
    here.apply(pipeline(tenancy=CHOSEN, access={"networkPolicy": {"enabled": False}}))
    eventually(lambda: not there.get("networkpolicy", "acme-ingest"), "no policy")


def test_a_tenant_that_is_not_allowed_is_told_so_and_nothing_is_made_and_nothing_given_away(
    here: World, there: World, database: str
) -> None:
    start(here, there)
    here.apply(pipeline(), here.database_secret(database), tenant(), HANDBOOK)
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    missing = {"pipelineRef": {"name": "nowhere", "namespace": here.namespace}}
    there.apply(guest(here), guest(here, "lost", **missing), HANDBOOK)
    refused = there.wait_condition("ragtenant", "acme", "Ready", "NotAllowedByPipeline")
    assert "spec.pipelineRef" in refused["message"]
    assert "spec.tenancy.namespaces" in refused["message"]
    lost = there.wait_condition("ragtenant", "lost", "Ready", "NotAllowedByPipeline")
    assert lost["message"] == refused["message"].replace("/support ", "/nowhere "), (
        "nobody learns which pipelines are there"
    )
    assert there.condition("ragtenant", "acme", "Degraded")["status"] == "True"
    assert names(there) == []
    assert "finalizers" not in (there.get("ragtenant", "acme") or {})["metadata"]
    assert set(rows(database)) == {here.namespace}
    eventually(
        lambda: status(here, "ragpipeline", "support").get("tenants", {}).get("total") == 1, "only its own is counted"
    )
    there.kubectl("delete", "ragtenant", "lost", "--timeout=180s")
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    here.kubectl("delete", "ragpipeline", "support", "--timeout=180s")
    assert there.get("ragtenant", "acme"), "who is not allowed holds up nobody"


def test_a_label_opens_and_closes_at_once_and_the_data_stay(here: World, there: World, database: str) -> None:
    start(here, there)
    here.apply(pipeline(tenancy=CHOSEN), here.database_secret(database))
    there.apply(guest(here), HANDBOOK)
    there.wait_condition("ragtenant", "acme", "Ready", "NotAllowedByPipeline")
    allow(there)
    there.wait_condition("ragtenant", "acme", "IngestSucceeded", "Ingesting")
    schema, key = status(there)["schema"], there.secret("acme-api-key")
    assert rows(database) == {there.namespace: ("Active", 1, True)}
    allow(there, "no")
    there.wait_condition("ragtenant", "acme", "Ready", "NotAllowedByPipeline")
    eventually(lambda: rows(database) == {there.namespace: ("Deactivated", 0, False)}, "keys are refused")
    eventually(lambda: names(there, kinds="cronjobs,jobs") == [], "ingestion is stopped", COLLECTED)
    login = there.secret("acme-ingest-db")
    dsn = f"{database} user={login['ingest.username']} password={login['ingest.password']}"
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        psycopg.connect(dsn)
    allow(there)
    there.wait_condition("ragtenant", "acme", "IngestSucceeded", "Ingesting")
    assert rows(database) == {there.namespace: ("Active", 1, True)}
    assert (status(there)["schema"], there.secret("acme-api-key")) == (schema, key)
    here.apply(pipeline(tenancy={"namespaces": {"from": "Same"}}))
    there.wait_condition("ragtenant", "acme", "Ready", "NotAllowedByPipeline")
    eventually(lambda: rows(database) == {there.namespace: ("Deactivated", 0, False)}, "by the spec as by a label")
    lines = [json.loads(line) for line in here.logs().splitlines() if line.startswith("{")]
    acts = [line["action"] for line in lines if line.get("audit")]
    assert [act for act in acts if act in ("Closed", "Reopened")] == ["Closed", "Reopened", "Closed"]
    there.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    assert rows(database) == {there.namespace: ("Retained", 0, False)}


def _authority(here: World) -> dict[str, Any]:
    """A ConfigMap with certificates that are ones: the cluster's own."""
    text = here.api.kubectl("get", "configmap", "kube-root-ca.crt", "-n", here.namespace, "-o", "json")
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "corp"}, "data": json.loads(text)["data"]}


def test_what_the_pipeline_names_is_looked_for_beside_the_tenant_and_never_copied(
    here: World, there: World, database: str
) -> None:
    start(here, there)
    endpoint = {"baseURL": "https://models.example/v1", "secretRef": {"name": "models"}, "caRef": {"name": "corp"}}
    account = {"pod": {"serviceAccountAnnotations": {"cloud.example/role": "rag"}}}
    spec: dict[str, Any] = {
        "embedding": {"endpoint": endpoint, "model": "m", "dimensions": 8},
        "query": {"imagePullSecrets": [{"name": "pull"}]},
        "ingestion": account,
        "tenancy": EVERYONE,
    }
    key, pull = _secret("models", "api-key"), _secret("pull", "any")
    here.apply(pipeline(**spec), here.database_secret(database), key, pull)
    there.apply(guest(here), HANDBOOK)
    service_account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "support-ingestion"}}
    wanted = (
        ("SecretNotFound", "endpoint.secretRef: Secret {}/models", key),
        ("SecretNotFound", "imagePullSecrets: Secret {}/pull", pull),
        ("CANotFound", "caRef: ConfigMap {}/corp", _authority(here)),
        ("ServiceAccountNotFound", "ServiceAccount {}/support-ingestion", service_account),
    )
    for number, (reason, sentence, document) in enumerate(wanted):
        if number > 1:  # the first is found without being told
            there.kubectl("annotate", "ragtenant", "acme", "--overwrite", f"look={number}")
        said = eventually(partial(_trouble, there, sentence.format(there.namespace)), sentence)
        assert isinstance(said, dict)
        assert (said["reason"], "create it" in said["message"]) == (reason, True)
        assert f"RagPipeline {here.namespace}/support" in said["message"]
        assert names(there, kinds="jobs") == []
        there.apply(document)
    eventually(lambda: names(there, kinds="jobs"), "the first ingestion")
    (job,) = names(there, kinds="jobs")
    pod = json.loads(there.kubectl("get", job, "-o", "json"))["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "support-ingestion"
    assert {"name": "pull"} in pod["imagePullSecrets"]
    assert not {"db", "support-query-db", "support-cache"} & {s.split("/")[1] for s in names(there, "", "secrets")}


def _secret(name: str, key: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {key: "x"}}


def _trouble(there: World, sentence: str) -> dict[str, Any] | None:
    said = there.condition("ragtenant", "acme", "Ready")
    return said if sentence in said.get("message", "") else None


def test_tenants_of_one_name_are_two_and_deletion_takes_one(here: World, there: World, database: str) -> None:
    start(here, there)
    here.apply(pipeline(tenancy=EVERYONE, deletionPolicy="Delete"), here.database_secret(database))
    here.apply(tenant(), HANDBOOK)
    there.apply(guest(here, deletionPolicy="Delete"), HANDBOOK)
    for world in (here, there):
        world.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    mine, theirs = status(here)["schema"], status(there)["schema"]
    assert mine != theirs
    assert here.secret("acme-api-key") != there.secret("acme-api-key")
    login = there.secret("acme-ingest-db")
    dsn = f"{database} user={login['ingest.username']} password={login['ingest.password']}"
    with psycopg.connect(dsn, autocommit=True) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"SELECT * FROM {mine}.document")
    here.kubectl("delete", "ragpipeline", "support", "--wait=false")
    said = here.wait_condition("ragpipeline", "support", "Ready", "TenantsRemain")
    assert f"acme, {there.namespace}/acme" in said["message"]
    there.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    assert rows(database) == {here.namespace: ("Active", 1, True)}
    with psycopg.connect(database) as admin:
        assert admin.execute("SELECT to_regnamespace(%s)", [theirs]).fetchone() == (None,)
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    assert rows(database) == {here.namespace: ("Retained", 0, False)}
    eventually(lambda: not here.get("ragpipeline", "support"), "the pipeline goes")


def test_slots_are_counted_over_all_namespaces(here: World, there: World, database: str) -> None:
    start(here, there)
    here.apply(pipeline(tenancy=EVERYONE, ingestion={"maxConcurrentJobs": 1}), here.database_secret(database))
    here.apply(tenant("first"), HANDBOOK)
    here.wait_condition("ragtenant", "first", "Ready", "Ingesting")
    there.apply(guest(here), HANDBOOK)
    there.wait_condition("ragtenant", "acme", "Ready", "WaitingForSlot")
    here.kubectl("delete", "ragtenant", "first", "--timeout=180s")
    there.wait_condition("ragtenant", "acme", "Ready", "Ingesting", COLLECTED)
    here.apply(tenant("second"))
    here.wait_condition("ragtenant", "second", "Ready", "WaitingForSlot")


def test_namespaces_that_are_being_deleted_wait_for_nobody_elsewhere(here: World, there: World, database: str) -> None:
    start(here, there)
    here.apply(pipeline(tenancy=EVERYONE), here.database_secret(database))
    there.apply(guest(here), HANDBOOK)
    there.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    third = replace(here, namespace=f"{there.namespace}-2")
    here.api.kubectl("create", "namespace", third.namespace)
    here.replicas[0].stop()
    here.operator(watch_namespaces=f"{here.namespace},{there.namespace},{third.namespace}")
    third.apply(guest(here), HANDBOOK)
    third.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    here.api.kubectl("delete", "namespace", third.namespace, "--wait=false")
    eventually(lambda: rows(database)[third.namespace][0] == "Retained", "its data is closed and kept")
    eventually(lambda: not third.get("ragtenant", "acme"), "the guest goes", 180)
    here.api.kubectl("delete", "namespace", here.namespace, "--wait=false")
    eventually(lambda: not here.get("ragpipeline", "support"), "the pipeline holds up nothing", 180)
    there.wait_condition("ragtenant", "acme", "Ready", "NotAllowedByPipeline")
    eventually(lambda: names(there, kinds="cronjobs,jobs") == [], "nothing is ingested any more", COLLECTED)
    there.kubectl("delete", "ragtenant", "acme", "--timeout=180s")


def test_both_namespaces_must_be_watched_and_the_charts_rights_there_are_enough(
    here: World, there: World, database: str
) -> None:
    scoped = replace(here, kubeconfig=under_the_charts_roles(here, there))
    installed = {"namespace": here.namespace, "lease_name": "rag-operator"}
    first = scoped.operator(watch_namespaces=there.namespace, **installed)
    here.apply(pipeline(tenancy=CHOSEN), here.database_secret(database))
    there.apply(guest(here), HANDBOOK)
    said = there.wait_condition("ragtenant", "acme", "Ready", "NamespaceNotWatched")
    assert "watchNamespaces" in said["message"]
    assert names(there) == []
    first.stop()
    scoped.operator(watch_namespaces=f"{here.namespace},{there.namespace}", **installed)
    there.wait_condition("ragtenant", "acme", "Ready", "NotAllowedByPipeline")
    allow(there)
    there.wait_condition("ragtenant", "acme", "IngestSucceeded", "Ingesting")
    there.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    user = f"system:serviceaccount:{here.namespace}:scoped"
    refused = [e for e in here.api.audit.entries(user=user) if e.code == 403]
    assert not [(e.verb, e.resource, e.namespace) for e in refused]
