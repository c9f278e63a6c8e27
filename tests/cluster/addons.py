"""What every usable cluster has besides its programs: rights of DNS and metrics, the metrics API, a StorageClass."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from tests.cluster import host, provisioner
from tests.cluster.kube_api import KubeApi
from tests.cluster.node import METRICS_PORT

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_RBAC_GROUP = "rbac.authorization.k8s.io"
_SYSTEM = "kube-system"


def install(api: KubeApi) -> None:
    """Create the rights and the default StorageClass."""
    read = ["get", "list", "watch"]
    dns = [
        {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": read},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read},
    ]
    metrics = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes", "namespaces", "configmaps"], "verbs": read},
    ]
    volumes = [
        {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": read},
        {"apiGroups": [""], "resources": ["persistentvolumes"], "verbs": [*read, "create", "delete"]},
    ]
    policies = [
        {"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": read},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": read},
    ]
    _grant(api, "system:coredns", dns)
    _grant(api, "system:network-policies", policies)
    _grant(api, "system:volume-provisioner", volumes)
    _grant(api, "system:metrics-server", metrics)
    _bind(api, "system:metrics-server-delegator", "system:auth-delegator", "system:metrics-server")
    reader = _binding("RoleBinding", "metrics-server-auth-reader", "system:metrics-server")
    reader["roleRef"] = {"apiGroup": _RBAC_GROUP, "kind": "Role", "name": "extension-apiserver-authentication-reader"}
    api.ensure(f"{_RBAC}/namespaces/{_SYSTEM}/rolebindings", reader)
    api.ensure("/apis/storage.k8s.io/v1/storageclasses", _storage_class())


def install_metrics_api(api: KubeApi, ca: Path) -> None:
    """Announce the metrics API, once its server answers: an API that is down slows every namespace's deletion."""
    service, slice_ = _metrics_service()
    api.ensure(f"/api/v1/namespaces/{_SYSTEM}/services", service)
    api.ensure(f"/apis/discovery.k8s.io/v1/namespaces/{_SYSTEM}/endpointslices", slice_)
    api.ensure("/apis/apiregistration.k8s.io/v1/apiservices", _metrics_api(ca))


def metrics_api_available(api: KubeApi) -> bool:
    """Whether the API server has reached the metrics API."""
    status = api.get("/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io").get("status", {})
    return any(one["type"] == "Available" and one["status"] == "True" for one in status.get("conditions", []))


def _grant(api: KubeApi, user: str, rules: list[dict[str, Any]]) -> None:
    role = {"apiVersion": f"{_RBAC_GROUP}/v1", "kind": "ClusterRole", "metadata": {"name": user}, "rules": rules}
    api.ensure(f"{_RBAC}/clusterroles", role)
    _bind(api, user, user, user)


def _bind(api: KubeApi, name: str, role: str, user: str) -> None:
    binding = _binding("ClusterRoleBinding", name, user)
    binding["roleRef"] = {"apiGroup": _RBAC_GROUP, "kind": "ClusterRole", "name": role}
    api.ensure(f"{_RBAC}/clusterrolebindings", binding)


def _binding(kind: str, name: str, user: str) -> dict[str, Any]:
    subject = {"apiGroup": _RBAC_GROUP, "kind": "User", "name": user}
    return {"apiVersion": f"{_RBAC_GROUP}/v1", "kind": kind, "metadata": {"name": name}, "subjects": [subject]}


def _storage_class() -> dict[str, Any]:
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": provisioner.STORAGE_CLASS, "annotations": default},
        "provisioner": provisioner.NAME,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def _metrics_service() -> tuple[dict[str, Any], dict[str, Any]]:
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": METRICS_PORT}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "metrics-server"}, "spec": {"ports": [port]}}
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "metrics-server", "labels": {"kubernetes.io/service-name": "metrics-server"}},
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": METRICS_PORT, "protocol": "TCP"}],
        "endpoints": [{"addresses": [host.NODE_ADDRESS], "conditions": {"ready": True}}],
    }
    return service, slice_


def _metrics_api(ca: Path) -> dict[str, Any]:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"name": "metrics-server", "namespace": _SYSTEM},
            "caBundle": base64.b64encode(ca.read_bytes()).decode(),
        },
    }
