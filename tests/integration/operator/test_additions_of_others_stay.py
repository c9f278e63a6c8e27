"""What others add to our objects, and an apply leaves alone, stays and is no work: meshes and people may add."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.looks import idles
from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
MESH = "--field-manager=mesh"
VARIABLE = {"name": "MESH", "value": "on"}


def _pod(here: World, kind: str, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = (here.get(kind, name) or {})["spec"]
    template = spec["jobTemplate"]["spec"]["template"] if kind == "cronjob" else spec["template"]
    found: dict[str, Any] = template["spec"]
    return found


def _variables(here: World, kind: str = "deployment", name: str = "support-query") -> dict[str, Any]:
    return {variable["name"]: variable for variable in _pod(here, kind, name)["containers"][0]["env"]}


def _add_to_query_pods(here: World) -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "handbook"}
    owner["uid"] = (here.get("configmap", "handbook") or {})["metadata"]["uid"]
    pod = {
        "containers": [{"name": "query", "env": [VARIABLE]}, {"name": "proxy", "image": "mesh/proxy:1"}],
        "volumes": [{"name": "mesh", "emptyDir": {}}],
        "imagePullSecrets": [{"name": "mesh"}],
    }
    patch = {"metadata": {"ownerReferences": [owner]}, "spec": {"template": {"spec": pod}}}
    here.kubectl("patch", "deployment", "support-query", MESH, "-p", json.dumps(patch))


def _add_to_ingestion(here: World) -> None:
    pod = {"spec": {"containers": [{"name": "ingest", "env": [VARIABLE]}]}}
    document = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "acme-ingest", "namespace": here.namespace},
        "spec": {"jobTemplate": {"spec": {"template": pod}}},
    }
    here.api.kubectl("apply", "--server-side", MESH, "-f", "-", given=json.dumps(document))


def _assert_added(here: World) -> None:
    query = _pod(here, "deployment", "support-query")
    assert {container["name"] for container in query["containers"]} == {"query", "proxy"}
    assert {"name": "mesh", "emptyDir": {}} in query["volumes"]
    assert query["imagePullSecrets"] == [{"name": "mesh"}]
    assert len((here.get("deployment", "support-query") or {})["metadata"]["ownerReferences"]) == 2
    assert _variables(here)["MESH"] == _variables(here, "cronjob", "acme-ingest")["MESH"] == VARIABLE


def test_items_that_a_mesh_adds_stay_and_no_look_writes_and_ours_still_come_back(here: World, database: str) -> None:
    replica = here.operator(resync_seconds="2")
    here.apply(pipeline(), tenant(suspend=True), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "Ready", "Suspended")
    eventually(lambda: here.get("deployment", "support-query"), "the query pods")
    _add_to_query_pods(here)
    _add_to_ingestion(here)
    idles(here, replica)
    _assert_added(here)
    own = _variables(here)["POD_NAME"]
    twice = [{"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": own | {"valueFrom": None}}]
    here.kubectl("patch", "deployment", "support-query", MESH, "--type=json", "-p", json.dumps(twice))
    eventually(lambda: _variables(here)["POD_NAME"] == own, "of two of the name, ours")
    here.kubectl("set", "env", "deployment/support-query", MESH, "--containers=query", "POD_NAME=x")
    eventually(lambda: _variables(here)["POD_NAME"] == own, "our source of the variable is back")
    for edit in ({"valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}, {"$patch": "delete"}):
        container = {"name": "query", "env": [{"name": "POD_NAME"} | edit]}
        patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
        here.kubectl("patch", "deployment", "support-query", MESH, "-p", json.dumps(patch))
        eventually(lambda: _variables(here).get("POD_NAME") == own, "our variable is back")
    _assert_added(here)
