"""The `api` fixture: a real API server of the run's own, with RBAC, namespaces that go, and an audit log."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.cluster import instances
from tests.cluster.control_plane import free_ports
from tests.cluster.fixtures import Kubernetes
from tests.cluster.kube_api import ApiError, KubeApi
from tests.cluster.paths import cluster_folder
from tests.cluster.processes import wait_until

pytestmark = pytest.mark.integration

CONFIG_MAPS = "/api/v1/namespaces/{}/configmaps"
PATIENCE = 120.0


def config_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def test_the_api_tells_its_true_version(api: Kubernetes) -> None:
    assert api.client.get("/version")["gitVersion"] == "v1.34.4"
    assert api.server.startswith("https://127.0.0.1:")


def test_a_service_account_may_do_what_it_was_granted_and_no_more(
    api: Kubernetes, api_namespace: str, tmp_path: Path
) -> None:
    api.kubectl("-n", api_namespace, "create", "role", "reader", "--verb=get,list", "--resource=configmaps")
    api.kubectl(
        "-n", api_namespace, "create", "rolebinding", "r", "--role=reader", f"--serviceaccount={api_namespace}:default"
    )
    account = KubeApi(api.as_service_account(api_namespace, "default", tmp_path))
    user = f"system:serviceaccount:{api_namespace}:default"
    asked = {"verb": "list", "resource": "configmaps", "namespace": api_namespace}
    assert wait_until(lambda: api.may(user, **asked), PATIENCE), "the authorizer sees the role"
    mark = api.audit.mark()
    account.get(CONFIG_MAPS.format(api_namespace))
    with pytest.raises(ApiError, match="forbidden") as refused:
        account.create(CONFIG_MAPS.format(api_namespace), config_map("x"))
    assert refused.value.status == 403
    assert wait_until(lambda: len(list(api.audit.entries(mark, user=user))) == 2, PATIENCE)
    entries = list(api.audit.entries(mark, user=user))
    assert [(one.verb, one.resource, one.code) for one in entries] == [
        ("list", "configmaps", 200),
        ("create", "configmaps", 403),
    ]
    assert api.audit.writes_per_user(mark)[user] == 1, "the cluster's own controllers write when they like"


def test_nobody_anonymous_is_let_in(api: Kubernetes, tmp_path: Path) -> None:
    document = json.loads(api.kubeconfig.read_text())
    document["users"][0]["user"] = {"token": "wrong"}
    (tmp_path / "config").write_text(json.dumps(document))
    with pytest.raises(ApiError) as refused:
        KubeApi(tmp_path / "config").get("/api/v1/namespaces")
    assert refused.value.status == 401


def test_reads_of_secrets_are_logged_for_everyone(api: Kubernetes, api_namespace: str) -> None:
    mark = api.audit.mark()
    api.client.get(CONFIG_MAPS.format(api_namespace))
    api.client.get(f"/api/v1/namespaces/{api_namespace}/secrets")

    def reads() -> list[str]:
        entries = api.audit.entries(mark, user="kubernetes-admin", verbs={"list"})
        return [one.resource for one in entries if one.namespace == api_namespace]

    assert wait_until(lambda: reads() == ["secrets"], PATIENCE)


def test_a_watch_says_when_it_stands_also_where_there_is_nothing_yet(api: Kubernetes, api_namespace: str) -> None:
    secrets = f"/api/v1/namespaces/{api_namespace}/secrets"
    watch = api.client.watch(secrets)
    assert next(watch) == {}
    api.client.create(secrets, {"metadata": {"name": "a"}})
    assert next(watch)["object"]["metadata"]["name"] == "a"
    watch.close()


def test_owned_objects_go_with_their_owner(api: Kubernetes, api_namespace: str) -> None:
    path = CONFIG_MAPS.format(api_namespace)
    owner = api.client.create(path, config_map("owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    api.client.create(path, {**config_map("owned"), "metadata": {"name": "owned", "ownerReferences": [reference]}})
    api.client.delete(f"{path}/owner")
    assert wait_until(
        lambda: "owned" not in api.kubectl("-n", api_namespace, "get", "configmap", "-o", "name"), PATIENCE
    )


def test_a_namespace_is_gone_soon_after_its_block(api: Kubernetes) -> None:
    with api.namespace("short lived", labels={"a": "b"}) as name:
        assert api.client.get(f"/api/v1/namespaces/{name}")["metadata"]["labels"]["a"] == "b"
    with_name = ["get", "namespace", "-o", "name"]
    assert wait_until(lambda: name not in api.kubectl(*with_name), PATIENCE)


def test_a_failing_kubectl_says_why(api: Kubernetes) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        api.kubectl("get", "nonsense")
    assert any("nonsense" in note for note in failed.value.__notes__)


def test_two_instances_live_side_by_side_and_leave_nothing() -> None:
    names = [f"api-pair-{port}" for port in free_ports(2)]
    try:
        planes = [instances.start(name) for name in names]
        first, second = (KubeApi(plane.kubeconfig) for plane in planes)
        first.create(CONFIG_MAPS.format("default"), config_map("only-here"))
        with pytest.raises(ApiError):
            second.get(CONFIG_MAPS.format("default") + "/only-here")
    finally:
        for name in names:
            instances.remove(cluster_folder(name))
    assert not any(plane.ledger.alive() or cluster_folder(plane.plan.name).exists() for plane in planes)
