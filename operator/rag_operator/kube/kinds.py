"""The kinds that the operator reads and writes, each with its path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rag_operator.api import GROUP, VERSION


@dataclass(frozen=True, slots=True)
class Kind:
    """A namespaced kind of the API."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """`apiVersion` as manifests write it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """URL path of the collection, an object, or a subresource; `namespace` None: all namespaces."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        middle = f"/namespaces/{namespace}" if namespace else ""
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{root}{middle}/{self.plural}{tail}"


PIPELINE = Kind(GROUP, VERSION, "ragpipelines", "RagPipeline")
TENANT = Kind(GROUP, VERSION, "ragtenants", "RagTenant")
SECRET = Kind("", "v1", "secrets", "Secret")
CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap")
SERVICE = Kind("", "v1", "services", "Service")
SERVICE_ACCOUNT = Kind("", "v1", "serviceaccounts", "ServiceAccount")
CLAIM = Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
POD = Kind("", "v1", "pods", "Pod")
EVENT = Kind("", "v1", "events", "Event")
NAMESPACE = Kind("", "v1", "namespaces", "Namespace")
DEPLOYMENT = Kind("apps", "v1", "deployments", "Deployment")
STATEFUL_SET = Kind("apps", "v1", "statefulsets", "StatefulSet")
JOB = Kind("batch", "v1", "jobs", "Job")
CRON_JOB = Kind("batch", "v1", "cronjobs", "CronJob")
HPA = Kind("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
PDB = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
NETWORK_POLICY = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
SERVICE_MONITOR = Kind("monitoring.coreos.com", "v1", "servicemonitors", "ServiceMonitor")
PROMETHEUS_RULE = Kind("monitoring.coreos.com", "v1", "prometheusrules", "PrometheusRule")
SCALED_OBJECT = Kind("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")
CUSTOM_METRICS = tuple(Kind("custom.metrics.k8s.io", f"v1beta{n}", "pods", "MetricValueList") for n in (1, 2))
LEASE = Kind("coordination.k8s.io", "v1", "leases", "Lease")

_CHILDREN = (
    *(SECRET, CONFIG_MAP, SERVICE, SERVICE_ACCOUNT, CLAIM, DEPLOYMENT, STATEFUL_SET, JOB, CRON_JOB),
    *(HPA, PDB, NETWORK_POLICY, SERVICE_MONITOR, PROMETHEUS_RULE, SCALED_OBJECT),
)
OPTIONAL = (SERVICE_MONITOR, PROMETHEUS_RULE, SCALED_OBJECT)
"""Kinds that a cluster has where somebody installed them."""
_KNOWN = {(k.api_version, k.kind): k for k in _CHILDREN}


def kind_of(manifest: dict[str, Any]) -> Kind:
    """The kind of a manifest that a builder made; KeyError for one that no builder makes."""
    return _KNOWN[(manifest["apiVersion"], manifest["kind"])]
