"""Command lines, configurations and names, without starting anything."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import backend, binaries, kind, kubeconfig, node, provisioner
from tests.cluster.certificates import Authority, alternative_name
from tests.cluster.control_plane import CONTROLLERS_WITHOUT_NODES, Plan, apiserver_command, controller_manager_command
from tests.cluster.errors import ClusterError
from tests.cluster.namespaces import stem
from tests.cluster.node import containerd_config, corefile, kubelet_config, proxy_config
from tests.cluster.state import State, read

PLAN = Plan(name="x", folder=Path("/c/x"), port=1, etcd_port=2, etcd_peer_port=3)


def test_an_api_without_nodes_listens_on_loopback_only_and_runs_no_workload_controller() -> None:
    command = apiserver_command(PLAN)
    assert "--bind-address=127.0.0.1" in command
    assert "--authorization-mode=Node,RBAC" in command
    assert "--anonymous-auth=false" in command
    controllers = ",".join(CONTROLLERS_WITHOUT_NODES)
    assert f"--controllers={controllers}" in controller_manager_command(PLAN)
    assert "deployment" not in controllers


def test_node_ports_are_not_reachable_from_other_machines() -> None:
    assert proxy_config(Path("/k"), "n")["nodePortAddresses"] == ["127.0.0.0/8", "10.244.0.1/32"]


def test_the_runtime_keeps_out_of_the_systems_own_folders() -> None:
    config = containerd_config(Path("/c/x"), Path("/run/rag-operator/x"))
    folders = [
        line.split('"')[1] for line in config.splitlines() if line.startswith(("root", "state", "address", "Root"))
    ]
    assert all(folder.startswith(("/c/x", "/run/rag-operator/x")) for folder in folders)
    assert "restrict_oom_score_adj = true" in config


def test_the_kubelet_deletes_no_image_and_stays_in_its_control_group() -> None:
    config = kubelet_config(Path("/c/x"), "rag-x", Path("/run/s"))
    assert config["imageGCHighThresholdPercent"] == 100
    assert config["cgroupRoot"] == "/rag-x"
    assert config["failCgroupV1"] is False


def test_names_outside_of_the_cluster_are_answered_not_forwarded() -> None:
    text = corefile(Path("/k"))
    assert "forward" not in text
    assert "rcode NXDOMAIN" in text


def test_a_metrics_reading_takes_less_time_than_the_pause_between_two() -> None:
    command = node.metrics_server_command(Path("/pki"), Path("/k"))
    assert {"--metric-resolution=10s", "--kubelet-request-timeout=5s"} <= set(command)


@pytest.mark.parametrize("name", ["", "Main", "a_b", "ä", "a" * 21, "../x"])
def test_a_name_that_can_be_no_folder_is_refused(name: str) -> None:
    with pytest.raises(ClusterError, match="is no name for a cluster"):
        backend.check_name(name)


def test_a_named_context_wins_over_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTEXT", "prod-eu")
    chosen = backend.choose("main")
    assert (type(chosen).__name__, chosen.name) == ("ExistingCluster", "prod-eu")


def test_an_address_and_a_name_are_told_apart_in_certificates() -> None:
    assert alternative_name("10.96.0.1") == "IP:10.96.0.1"
    assert alternative_name("kubernetes.default") == "DNS:kubernetes.default"


def test_a_kubeconfig_stands_alone_and_is_private(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    authority.create()
    authority.sign("admin", "kubernetes-admin", ["system:masters"])
    document = kubeconfig.with_certificate("https://127.0.0.1:1", authority, "admin", "x")
    path = kubeconfig.write(tmp_path / "config", document)
    assert path.stat().st_mode & 0o777 == 0o600
    key = json.loads(path.read_text())["users"][0]["user"]["client-key-data"]
    assert base64.b64decode(key) == authority.key("admin").read_bytes()
    assert kubeconfig.for_token(path, "t", "y")["users"][0]["user"] == {"token": "t"}


def test_the_key_of_a_module_follows_what_pins_it() -> None:
    keys = {module.key() for module in binaries.WHOLE_CLUSTER}
    assert len(keys) == len(binaries.WHOLE_CLUSTER)
    assert "v1.34.4" in binaries.KUBERNETES.flags


def test_a_tests_name_becomes_a_namespaces() -> None:
    assert stem("test_a_Claim[x-1]_keeps_what_a_pod_without_root_writes") == "a-claim-x-1-keeps-what-a-pod-without-roo"
    assert stem("test_") == "test"


def test_state_survives_being_written_and_read(tmp_path: Path) -> None:
    written = State("main", "pods", "https://127.0.0.1:6443", {"vm.panic_on_oom": "0"})
    written.write(tmp_path)
    assert read(tmp_path) == written
    assert read(tmp_path / "absent") is None


def claim(**changes: Any) -> dict[str, Any]:
    spec = {
        "storageClassName": "standard",
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    metadata = {
        "name": "data",
        "namespace": "rag",
        "uid": "u1",
        "annotations": {"volume.kubernetes.io/selected-node": "n"},
    }
    return {"metadata": {**metadata, **changes.pop("metadata", {})}, "spec": {**spec, **changes}}


@pytest.mark.parametrize(
    ("of", "needs"),
    [
        (claim(), True),
        (claim(volumeName="pvc-u1"), False),
        (claim(storageClassName="other"), False),
        (claim(metadata={"annotations": {}}), False),
        (claim(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}), False),
    ],
)
def test_only_our_claims_that_wait_for_a_chosen_node_get_a_volume(of: dict[str, Any], needs: bool) -> None:
    assert provisioner.needs_volume(of) is needs


def test_a_volume_is_bound_to_its_claim_and_node_and_goes_with_the_claim() -> None:
    volume = provisioner.volume_for(claim(), Path("/v"))
    assert volume["spec"]["claimRef"]["uid"] == "u1"
    assert volume["spec"]["local"] == {"path": "/v/pvc-u1"}
    assert not provisioner.is_done_with({**volume, "status": {"phase": "Bound"}})
    assert provisioner.is_done_with({**volume, "status": {"phase": "Released"}})
    volume["spec"]["persistentVolumeReclaimPolicy"] = "Retain"
    assert not provisioner.is_done_with({**volume, "status": {"phase": "Released"}})


def test_kind_writes_its_audit_log_where_the_fixtures_look() -> None:
    config = kind.kind_config(Path("/c/kind-main"))
    mounts = config["nodes"][0]["extraMounts"]
    patch = json.loads(config["nodes"][0]["kubeadmConfigPatches"][0])
    assert mounts == [{"hostPath": "/c/kind-main", "containerPath": "/rag"}]
    assert patch["apiServer"]["extraArgs"]["audit-log-path"] == "/rag/audit/audit.log"
    assert kind.KindCluster("main").audit_log() == kind.KindCluster("main").folder / "audit" / "audit.log"
