"""What a query Deployment's status tells of its rollout."""

from __future__ import annotations

from typing import Any

from rag_operator.api import names
from rag_operator.api.pipeline import RagPipeline
from rag_operator.kube.client import Object


def rolled_out(deployment: Object) -> bool:
    """Whether every pod runs the newest spec and is ready, and no other pod is left."""
    status = deployment.get("status", {})
    wanted = deployment["spec"].get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("readyReplicas", 0) == wanted
    )


def refused_pods(deployment: Object) -> str:
    """Why its controller can't make pods, in the API server's words; empty where it can."""
    found = _condition(deployment, "ReplicaFailure")
    return str(found.get("message", "")) if found.get("status") == "True" else ""


def overdue(deployment: Object) -> str:
    """That new pods run and never become ready; empty while there is time (progressDeadlineSeconds)."""
    if _condition(deployment, "Progressing").get("reason") != "ProgressDeadlineExceeded":
        return ""
    name = deployment["metadata"]["name"]
    seconds = deployment["spec"].get("progressDeadlineSeconds", 600)
    return f"new pods of Deployment {name} did not become ready within {seconds} s: see what /readyz of such a pod says"


def query_status(pipeline: RagPipeline, deployment: Object) -> dict[str, Any]:
    """What the pipeline's status says of its query pods."""
    meta = pipeline.metadata
    status = deployment.get("status", {})
    selector = names.pipeline_selector(meta.name, names.COMPONENT_QUERY)
    return {
        "endpoint": names.query_endpoint(meta.name, meta.namespace),
        "replicas": int(status.get("replicas", 0)),
        "readyReplicas": int(status.get("readyReplicas", 0)),
        "selector": ",".join(f"{k}={v}" for k, v in sorted(selector.items())),
    }


def _condition(deployment: Object, kind: str) -> dict[str, Any]:
    conditions: list[dict[str, Any]] = deployment.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind), {})
