"""The chart on real nodes, with the images of this checkout: install, test, roles, uninstall."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.fixtures import Kubernetes
from tests.e2e.place import PATIENCE
from tests.support.operator import eventually

pytestmark = pytest.mark.e2e
REPOSITORY = Path(__file__).parents[2]
CHART = str(REPOSITORY / "charts" / "rag-operator")
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
RELEASE = "rag-operator"
IMAGES = {"operator": "operator", "runtime": "runtime", "postgres": "postgres", "redis": "redis"}


def installed(cluster: Kubernetes, namespace: str, *more: str) -> str:
    """Install into the namespace, with roles in it only, so that other tests may do the same."""
    values = [f"watchNamespaces={{{namespace}}}", "rbac.aggregateToDefaultRoles=false", "crds.install=false"]
    values += [f"images.{part}.repository=rag-operator/{name}" for part, name in IMAGES.items()]
    values += [f"images.{part}.tag=dev" for part in IMAGES]
    sets = [word for value in (*values, *more) for word in ("--set", value)]
    return cluster.helm(
        "upgrade", "--install", RELEASE, CHART, "-n", namespace, *sets, "--wait", "--timeout=300s", deadline=330
    )


@pytest.fixture(scope="module")
def namespace(quiet: Kubernetes, cluster: Kubernetes) -> Iterator[str]:
    cluster.install_kinds(REPOSITORY / "crds")
    with cluster.namespace("helm", RESTRICTED) as name:
        installed(cluster, name)
        yield name


WAITING = {
    "apiVersion": "rag-operator.dev/v1alpha1",
    "kind": "RagPipeline",
    "metadata": {"name": "waiting"},
    "spec": {"database": {"secretRef": {"name": "not-there-yet"}}},
}


def finalizers(cluster: Kubernetes, namespace: str) -> list[str]:
    found: list[str] = get(cluster, namespace, "ragpipeline", "waiting")["metadata"].get("finalizers", [])
    return found


def get(cluster: Kubernetes, namespace: str, *what: str) -> Any:
    return json.loads(cluster.kubectl("get", *what, "-n", namespace, "-o", "json"))


def test_two_replicas_are_ready_under_the_restricted_standard_and_one_leads(
    cluster: Kubernetes, namespace: str
) -> None:
    deployment = get(cluster, namespace, "deployment", RELEASE)
    assert deployment["status"]["readyReplicas"] == 2
    pods = get(cluster, namespace, "pods", "-l", "app.kubernetes.io/component=operator")["items"]
    lease = ("get", "lease", RELEASE, "-n", namespace, "--ignore-not-found", "-o", "jsonpath={.spec.holderIdentity}")
    holder = eventually(lambda: cluster.kubectl(*lease), "one leads", PATIENCE)
    assert sum(holder.startswith(pod["metadata"]["name"]) for pod in pods) == 1
    restarts = [status["restartCount"] for pod in pods for status in pod["status"]["containerStatuses"]]
    assert restarts == [0, 0]


def test_helm_test_says_that_all_is_well(cluster: Kubernetes, namespace: str) -> None:
    said = cluster.helm("test", RELEASE, "-n", namespace, "--timeout=300s", deadline=330)
    assert "Succeeded" in said


def test_metrics_are_served(cluster: Kubernetes, namespace: str) -> None:
    (pod, *_) = get(cluster, namespace, "pods", "-l", "app.kubernetes.io/component=operator")["items"]
    path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}:9090/proxy/metrics"
    assert "# TYPE " in cluster.kubectl("get", "--raw", path)


@pytest.mark.parametrize(
    ("verb", "resource", "there", "elsewhere"),
    [
        ("get", "secrets", True, False),
        ("list", "secrets", False, False),
        ("watch", "ragtenants.rag-operator.dev", True, False),
        ("delete", "ragtenants.rag-operator.dev", False, False),
        ("create", "statefulsets.apps", True, False),
        ("get", "namespaces", True, False),
        ("create", "pods", False, False),
        ("create", "rolebindings.rbac.authorization.k8s.io", False, False),
    ],
)
def test_it_may_do_what_it_needs_where_it_watches(
    cluster: Kubernetes, namespace: str, verb: str, resource: str, *, there: bool, elsewhere: bool
) -> None:
    def may(where: str) -> bool:
        account = f"--as=system:serviceaccount:{namespace}:{RELEASE}"
        try:
            return cluster.kubectl("auth", "can-i", verb, resource, "-n", where, account).strip() == "yes"
        except subprocess.CalledProcessError as refused:
            return str(refused.stdout).strip() != "no"

    assert may(namespace) is there
    assert may("default") is elsewhere


def test_an_upgrade_rolls_and_an_uninstall_leaves_kinds_and_resources(cluster: Kubernetes, namespace: str) -> None:
    installed(cluster, namespace, "logLevel=debug")
    cluster.kubectl("apply", "-n", namespace, "-f", "-", given=json.dumps(WAITING))
    eventually(lambda: finalizers(cluster, namespace), "the operator has it in hand", PATIENCE)
    cluster.helm("uninstall", RELEASE, "-n", namespace, "--wait", "--timeout=300s", deadline=330)
    of_the_release = ("-l", "app.kubernetes.io/name=rag-operator")
    kinds_of_it = "deployments,roles,services,jobs"
    eventually(lambda: not get(cluster, namespace, kinds_of_it, *of_the_release)["items"], "nothing is left", PATIENCE)
    assert finalizers(cluster, namespace) == [], "nobody is left who could take it off"
    cluster.kubectl("delete", "ragpipeline", "waiting", "-n", namespace, "--timeout=120s")
    kinds = cluster.kubectl("get", "-f", str(REPOSITORY / "crds"), "-o", "name").split()
    assert len(kinds) == 2
