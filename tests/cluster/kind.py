"""A kind cluster of its own, where a container engine and kind are at hand."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.cluster import binaries
from tests.cluster.audit_policy import AUDIT_POLICY
from tests.cluster.errors import ClusterError
from tests.cluster.images.recipes import OURS, RECIPES, Recipe, release_of, stage
from tests.cluster.lock import only_one
from tests.cluster.paths import cluster_folder, clusters_root
from tests.cluster.progress import say

_METRICS_IMAGE = "rag-operator/metrics-server:dev"


class KindCluster:
    """The kind cluster rag-NAME; no other is touched."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind_name = f"rag-{name}"
        self.folder = cluster_folder(f"kind-{name}")

    def up(self) -> None:
        """Create the cluster unless it is there, with an audit log on this machine."""
        with only_one(clusters_root() / f"kind-{self.name}.lock", f"up --name {self.name}"):
            if self.is_up():
                say(f"kind cluster {self.kind_name} is up already; kubeconfig: {self.kubeconfig()}")
                return
            (self.folder / "audit").mkdir(parents=True, exist_ok=True)
            (self.folder / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY))
            config = self.folder / "kind.json"
            config.write_text(json.dumps(kind_config(self.folder)))
            say(f"creating kind cluster {self.kind_name}")
            command = ["kind", "create", "cluster", "--name", self.kind_name, "--config", str(config), "--wait", "120s"]
            _run([*command, "--kubeconfig", str(self.kubeconfig())])
            self._install_metrics()

    def down(self) -> None:
        """Delete the cluster."""
        with only_one(clusters_root() / f"kind-{self.name}.lock", f"down --name {self.name}"):
            _run(["kind", "delete", "cluster", "--name", self.kind_name, "--kubeconfig", str(self.kubeconfig())])

    def is_up(self) -> bool:
        """Whether kind knows the cluster and it answers."""
        if self.kind_name not in _run(["kind", "get", "clusters"]).split():
            return False
        asked = ["kubectl", "--kubeconfig", str(self.kubeconfig()), "get", "--raw", "/readyz"]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0

    def status(self) -> str:
        """Up or down."""
        return f"kind cluster {self.kind_name}: {'up' if self.is_up() else 'down'}  kubeconfig {self.kubeconfig()}"

    def kubeconfig(self) -> Path:
        """A file of its own: the person's ~/.kube/config stays as it is."""
        return self.folder / "kubeconfig"

    def audit_log(self) -> Path | None:
        """Written by the API server through a mount."""
        return self.folder / "audit" / "audit.log"

    def kubectl(self) -> str:
        """The person's own."""
        return "kubectl"

    def build_images(self) -> None:
        """Build with the container engine, whose own cache makes an unchanged image a matter of a second; load."""
        for recipe in RECIPES:
            self._build(recipe)

    def release_images(self, version: str) -> None:
        """Build them from the images of `build_images`; load."""
        for recipe in OURS:
            self._build(release_of(recipe, version))

    def _build(self, recipe: Recipe) -> None:
        arguments = {"BASE_IMAGE": recipe.public_base} | recipe.arguments
        given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        with tempfile.TemporaryDirectory() as folder:
            context = Path(folder) / "context"
            stage(recipe, context)
            say(f"building {recipe.reference}")
            _run(["docker", "build", "-q", "-t", recipe.reference, *given, str(context)])
        _run(["kind", "load", "docker-image", "--name", self.kind_name, recipe.reference])

    def _install_metrics(self) -> None:
        """Run metrics-server from an image of our own around the program that `tools` builds."""
        binaries.ensure((binaries.EXTRAS,))
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "metrics-server").write_bytes(Path(binaries.program("metrics-server")).read_bytes())
            (Path(folder) / "metrics-server").chmod(0o755)
            dockerfile = 'FROM scratch\nCOPY metrics-server /\nUSER 65534\nENTRYPOINT ["/metrics-server"]\n'
            (Path(folder) / "Dockerfile").write_text(dockerfile)
            _run(["docker", "build", "-q", "-t", _METRICS_IMAGE, folder])
        _run(["kind", "load", "docker-image", "--name", self.kind_name, _METRICS_IMAGE])
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": metrics_objects()})
        _run(["kubectl", "--kubeconfig", str(self.kubeconfig()), "apply", "-f", "-"], given=document)


def kind_config(folder: Path) -> dict[str, Any]:
    """One node, whose API server writes the audit log into the cluster's folder."""
    arguments = {"audit-policy-file": "/rag/audit-policy.json", "audit-log-path": "/rag/audit/audit.log"}
    patch = {
        "kind": "ClusterConfiguration",
        "apiServer": {
            "extraArgs": arguments,
            "extraVolumes": [
                {"name": "rag", "hostPath": "/rag", "mountPath": "/rag", "readOnly": False, "pathType": "Directory"}
            ],
        },
    }
    mounts = [{"hostPath": str(folder), "containerPath": "/rag"}]
    node = {"role": "control-plane", "extraMounts": mounts, "kubeadmConfigPatches": [json.dumps(patch)]}
    return {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": [node]}


def metrics_objects() -> list[dict[str, Any]]:
    """metrics-server's Deployment with its account, rights, Service and API."""
    account = {"kind": "ServiceAccount", "name": "metrics-server", "namespace": "kube-system"}
    meta = {"name": "metrics-server", "namespace": "kube-system"}
    rules = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {
            "apiGroups": [""],
            "resources": ["pods", "nodes", "namespaces", "configmaps"],
            "verbs": ["get", "list", "watch"],
        },
    ]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": _RBAC, "kind": "ClusterRole", "metadata": {"name": "system:metrics-server"}, "rules": rules},
        _binding("ClusterRoleBinding", "system:metrics-server", "ClusterRole", "system:metrics-server", account),
        _binding("ClusterRoleBinding", "metrics-server:delegator", "ClusterRole", "system:auth-delegator", account),
        _binding("RoleBinding", "metrics-server-reader", "Role", "extension-apiserver-authentication-reader", account),
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": _metrics_deployment()},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": {"app": "metrics-server"}, "ports": [{"port": 443, "targetPort": 10251}]},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,
                "service": meta,
            },
        },
    ]


_RBAC = "rbac.authorization.k8s.io/v1"


def _binding(kind: str, name: str, role_kind: str, role: str, account: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name} if kind == "ClusterRoleBinding" else {"name": name, "namespace": "kube-system"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role}
    return {"apiVersion": _RBAC, "kind": kind, "metadata": metadata, "roleRef": reference, "subjects": [account]}


def _metrics_deployment() -> dict[str, Any]:
    arguments = [
        "--secure-port=10251",
        "--cert-dir=/tmp",
        "--kubelet-insecure-tls",  # kind's kubelets serve with certificates of their own
        "--kubelet-preferred-address-types=InternalIP",
        "--metric-resolution=10s",
        "--kubelet-request-timeout=5s",
    ]
    container = {
        "name": "metrics-server",
        "image": _METRICS_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    pod = {
        "serviceAccountName": "metrics-server",
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    labels = {"app": "metrics-server"}
    return {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}


def _run(command: list[str], given: str | None = None) -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout
