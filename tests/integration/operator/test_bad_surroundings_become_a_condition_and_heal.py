"""Databases exchanged or shared, a cluster that denies our children, a Secret that changes: said, and healed."""

from __future__ import annotations

import json
import subprocess
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.support import postgres
from tests.support.looks import looks, observed
from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
SEVERAL = 3
LOOKS = 180.0
"""A settled pipeline looks at its Secrets every minute."""


def test_a_secret_that_leads_to_another_database_is_refused_and_nothing_is_made_there(
    here: World, postgres_server: postgres.Server, database: str
) -> None:
    here.operator(resync_seconds="3")
    here.apply(pipeline(), tenant(), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    elsewhere = postgres_server.create_database(f"elsewhere_{uuid4().hex[:8]}")
    here.apply(here.database_secret(elsewhere))
    said = here.wait_condition("ragpipeline", "support", "DatabaseReady", "CatalogMismatch", LOOKS)
    assert "spec.database.adopt" in said["message"]
    with psycopg.connect(elsewhere) as connection:
        assert not connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'rag%'").fetchall()
    assert here.get("deployment", "support-query"), "what serves goes on"
    here.apply(here.database_secret(database))
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected", LOOKS)


def test_pipelines_that_share_a_database_keep_apart(here: World, database: str) -> None:
    here.operator()
    here.apply(pipeline(), pipeline("sales"), tenant("a"), tenant("b", "sales"), HANDBOOK)
    here.apply(here.database_secret(database))
    for name in ("a", "b"):
        here.wait_condition("ragtenant", name, "DatabaseReady", "AsExpected")
    first, second = ((here.get("ragtenant", name) or {})["status"] for name in ("a", "b"))
    assert first["catalogID"] != second["catalogID"]
    assert first["schema"] != second["schema"]
    here.kubectl("annotate", "ragtenant", "b", "note=1")
    here.kubectl("delete", "ragtenant", "a", "--timeout=180s")
    here.kubectl("delete", "ragpipeline", "support", "--timeout=180s")
    here.apply(tenant("b", "sales", displayName="looked at once more"))
    observed(here, "ragtenant", "b")
    assert here.condition("ragtenant", "b", "DatabaseReady")["reason"] == "AsExpected"


def test_a_cluster_policy_that_denies_a_child_is_quoted_and_lifting_it_heals(here: World, database: str) -> None:
    deny = _denial(here.namespace, "deployments", "no Deployments on Fridays")
    here.apply(*deny)
    try:
        eventually(lambda: "no Deployments on Fridays" in _refusal(here), "the policy is in force")
        here.operator()
        here.apply(pipeline(), here.database_secret(database))
        said = here.wait_condition("ragpipeline", "support", "Ready", "Refused")
        assert "no Deployments on Fridays" in said["message"]
        assert here.condition("ragpipeline", "support", "Degraded")["status"] == "True"
    finally:
        for document in reversed(deny):
            here.kubectl("delete", document["kind"], document["metadata"]["name"])
    eventually(lambda: here.get("deployment", "support-query"), "the Deployment", LOOKS)
    eventually(lambda: here.condition("ragpipeline", "support", "Degraded")["status"] == "False", "no trouble", LOOKS)


def _denial(namespace: str, resources: str, message: str) -> list[dict[str, Any]]:
    """The API server's own admission, as a webhook of a policy engine would deny."""
    api, name = "admissionregistration.k8s.io/v1", f"deny-{namespace}"
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resources]}
    validation = {"expression": "false", "message": message}
    chosen = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    policy = {"matchConstraints": {"resourceRules": [rule]}, "validations": [validation]}
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": chosen}
    return [
        {"apiVersion": api, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": policy},
        {"apiVersion": api, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": binding},
    ]


def _refusal(here: World) -> str:
    """Why no Deployment can be made; empty where it can."""
    try:
        here.kubectl("create", "deployment", "probe", "--image=a", "--dry-run=server")
    except subprocess.CalledProcessError as error:
        return str(error.stderr)
    return ""


@pytest.mark.parametrize("secret", ["model-key", "support-cache"])
def test_a_changed_secret_rolls_the_pods_exactly_once(here: World, database: str, secret: str) -> None:
    replica = here.operator(resync_seconds="2")
    endpoint = {"baseURL": "http://models.invalid/v1", "secretRef": {"name": "model-key"}}
    here.apply(_key("first"), here.database_secret(database))
    here.apply(pipeline(llm={"models": [{"model": "m", "endpoint": endpoint}]}))
    eventually(lambda: here.get("deployment", "support-query"), "the Deployment")
    looks(replica, SEVERAL)
    before = _generation(here)
    if secret == "model-key":
        here.apply(_key("another-value"))
    else:
        here.kubectl("delete", "secret", secret)
    eventually(lambda: _generation(here) == before + 1, "a rollout", LOOKS)
    looks(replica, SEVERAL)
    assert _generation(here) == before + 1
    shown = json.dumps(here.get("deployment", "support-query"))
    assert "another-value" not in shown


def _key(value: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "model-key"}, "stringData": {"api-key": value}}


def _generation(here: World) -> int:
    return int((here.get("deployment", "support-query") or {})["metadata"]["generation"])
