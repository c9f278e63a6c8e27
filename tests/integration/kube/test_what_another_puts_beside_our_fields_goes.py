"""A5: another hand's field or item that the API server refuses beside ours is taken away; what harms nothing stays."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from rag_operator.kube.apply import apply_child
from rag_operator.kube.client import Api, Object
from rag_operator.kube.errors import RefusedError
from rag_operator.kube.kinds import CRON_JOB, DEPLOYMENT, PDB, SERVICE, STATEFUL_SET, Kind, kind_of
from tests.cluster.fixtures import Kubernetes
from tests.unit.build.samples import all_manifests

pytestmark = pytest.mark.integration
MANAGER = "rag-operator-tests"
OTHER = {"name": "OTHER", "value": "on"}


def _pod(**fields: Any) -> Object:
    return {"spec": {"template": {"spec": fields}}}


def _query(**fields: Any) -> Object:
    return _pod(containers=[{"name": "query", **fields}])


def _moved(key: str, port: Object, to: Object) -> list[Object]:
    """The port of ours under another key of the list, by its old name."""
    return [{key: port[key], "protocol": "TCP", "$patch": "delete"}, port | to]


MAP = {"fieldRef": None, "configMapKeyRef": {"name": "x", "key": "y"}}
ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}
PORT = {"name": "http", "port": 8000, "targetPort": "http", "protocol": "TCP"}
CONTAINER_PORT = {"name": "http", "containerPort": 8000, "protocol": "TCP"}
VOLUME: Object = {"name": "data", "persistentVolumeClaim": None, "emptyDir": {}}
BALANCED = {"type": "LoadBalancer", "loadBalancerClass": "a.example/b", "loadBalancerSourceRanges": ["10.0.0.0/8"]}
REFUSED: dict[str, tuple[Kind, str, Object]] = {
    "a value in the place of a variable's source": (
        DEPLOYMENT, "support-query", _query(env=[{"name": "POD_NAME", "value": "x", "valueFrom": None}]),
    ),
    "another source of a variable": (
        DEPLOYMENT, "support-query", _query(env=[{"name": "POD_NAME", "valueFrom": MAP}]),
    ),
    "another source of a volume": (
        DEPLOYMENT, "support-query",
        _pod(volumes=[{"name": "config", "configMap": None, "secret": {"secretName": "x"}}]),
    ),
    "another probe": (
        DEPLOYMENT, "support-query", _query(livenessProbe={"httpGet": None, "exec": {"command": ["true"]}}),
    ),
    "another way to stop": (
        DEPLOYMENT, "support-query", _query(lifecycle={"preStop": {"sleep": None, "exec": {"command": ["true"]}}}),
    ),
    "another container port of the name": (
        DEPLOYMENT, "support-query", _query(ports=_moved("containerPort", CONTAINER_PORT, {"containerPort": 9000})),
    ),
    "privileges": (
        DEPLOYMENT, "support-query", _query(securityContext={"privileged": True, "allowPrivilegeEscalation": True}),
    ),
    "a limit below what we ask for": (
        DEPLOYMENT, "support-query", _query(resources={"requests": {"cpu": "10m"}, "limits": {"cpu": "20m"}}),
    ),
    "another seccomp profile": (
        DEPLOYMENT, "support-query",
        _pod(securityContext={"seccompProfile": {"type": "Localhost", "localhostProfile": "x"}}),
    ),
    "parameters of another strategy": (
        DEPLOYMENT, "support-cache", {"spec": {"strategy": ROLLING}},
    ),
    "another volume of Postgres": (STATEFUL_SET, "support-postgres", _pod(volumes=[VOLUME])),
    "another source of a Job's volume": (
        CRON_JOB, "acme-ingest",
        {"spec": {"jobTemplate": _pod(volumes=[{"name": "config", "configMap": None, "emptyDir": {}}])}},
    ),
    "another port of a Service": (SERVICE, "support", {"spec": {"ports": _moved("port", PORT, {"port": 9000})}}),
    "a balancer's ranges": (SERVICE, "support", {"spec": BALANCED}),
    "the other kind of budget": (PDB, "support-query", {"spec": {"maxUnavailable": None, "minAvailable": 1}}),
}  # fmt: skip
"""Edits that no apply of ours, alone, takes back: seen on the API server."""
ADDED = {
    "metadata": {"annotations": {"theirs": "kept"}},
    "spec": {
        "minReadySeconds": 1,
        "template": {
            "metadata": {"annotations": {"mesh": "on"}},
            "spec": {
                "containers": [
                    {
                        "name": "query",
                        "env": [OTHER],
                        "envFrom": [{"configMapRef": {"name": "other"}}],
                        "volumeMounts": [{"name": "tmp", "mountPath": "/mesh"}],
                    },
                    {"name": "proxy", "image": "mesh/proxy:1", "ports": [{"name": "mesh", "containerPort": 15001}]},
                ],
                "volumes": [{"name": "mesh", "emptyDir": {}}],
                "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["mesh"]}],
            },
        },
    },
}
"""What others may have beside ours: nothing of it is in the way of an apply."""


def _manifest(kind: Kind, name: str, namespace: str) -> Object:
    """One that a builder made, without an owner: there is none here."""
    of_the_name = (m for m in all_manifests().values() if kind_of(m) is kind and m["metadata"]["name"] == name)
    found = deepcopy(next(of_the_name))
    meta = {key: value for key, value in found["metadata"].items() if key != "ownerReferences"}
    return found | {"metadata": meta | {"namespace": namespace}}


async def _patched(port: Api, api: Kubernetes, live: Object, patch: Object) -> Object:
    kind, meta = kind_of(live), live["metadata"]
    api.kubectl("-n", meta["namespace"], "patch", kind.kind.lower(), meta["name"], "-p", json.dumps(patch))
    found = await port.get(kind, meta["namespace"], meta["name"])
    assert found is not None
    return found


def _variables(live: Object) -> list[str]:
    (ours,) = (c for c in live["spec"]["template"]["spec"]["containers"] if c["name"] == "query")
    return [variable["name"] for variable in ours.get("env", [])]


@pytest.mark.parametrize("about", REFUSED)
async def test_it_goes_at_once_and_nothing_else_changes(
    port: Api, api: Kubernetes, api_namespace: str, about: str
) -> None:
    kind, name, edit = REFUSED[about]
    wanted = _manifest(kind, name, api_namespace)
    before = await apply_child(port, wanted, MANAGER)
    if name == "support-query" and kind is DEPLOYMENT:
        before = await _patched(port, api, before, ADDED)
    edited = await _patched(port, api, before, edit)
    mended = await apply_child(port, wanted, MANAGER)
    assert mended["spec"] == before["spec"]
    assert mended["metadata"].get("annotations") == before["metadata"].get("annotations")
    assert mended["metadata"].get("generation", 1) - edited["metadata"].get("generation", 0) == 1, "pods roll once"
    assert await apply_child(port, wanted, MANAGER) == mended, "and rest"


async def test_what_came_back_is_ours_alone_and_goes_when_we_want_it_no_longer(
    port: Api, api: Kubernetes, api_namespace: str
) -> None:
    kind, name, edit = REFUSED["a value in the place of a variable's source"]
    wanted = _manifest(kind, name, api_namespace)
    await _patched(port, api, await apply_child(port, wanted, MANAGER), edit)
    assert _variables(await apply_child(port, wanted, MANAGER)) == ["POD_NAME"]
    (container,) = wanted["spec"]["template"]["spec"]["containers"]
    del container["env"]
    assert not _variables(await apply_child(port, wanted, MANAGER))


async def test_what_is_refused_all_the_same_is_told_as_at_first_and_not_written_again(
    port: Api, api: Kubernetes, api_namespace: str
) -> None:
    kind, name, edit = REFUSED["a value in the place of a variable's source"]
    wanted = _manifest(kind, name, api_namespace)
    before = await apply_child(port, wanted, MANAGER)
    slow = {"spec": {"minReadySeconds": 400, "progressDeadlineSeconds": 500}}
    await _patched(port, api, before, {"spec": edit["spec"] | slow["spec"]})
    with pytest.raises(RefusedError, match=r"valueFrom.*minReadySeconds"):
        await apply_child(port, wanted, MANAGER)
    left = await port.get(kind, api_namespace, name)
    with pytest.raises(RefusedError, match="minReadySeconds"):
        await apply_child(port, wanted, MANAGER)
    assert await port.get(kind, api_namespace, name) == left
    assert left is not None
    await _patched(port, api, left, {"spec": {"minReadySeconds": 0}})
    assert (await apply_child(port, wanted, MANAGER))["spec"] == before["spec"]
