"""What stands once a spec is carried out, without what only tells of the way there: equal whatever stood before.

Left out are former specs' Jobs and the configurations that these use (runs end by themselves, and no pod runs here),
what a Job of the present configuration is made of (a run keeps the pod that it began with), scheduled Jobs,
the managed cache's Secret (to delete Secrets is no right of the operator's), statuses of others, generations, and the
number of pods, with what is said of it, where an autoscaler owns it.
"""

from __future__ import annotations

from typing import Any

from rag_operator.api import names, resolve
from rag_operator.api.parse import parse_pipeline, parse_tenant
from tests.faults.harness import Stage
from tests.faults.oracle import lines, objects

Object = dict[str, Any]
OURS = ("RagPipeline", "RagTenant")
NUMBERS = ("replicas", "readyReplicas", "message")
REVISION = "deployment.kubernetes.io/revision"


def state(on: Stage, *, elsewhere: bool = True) -> list[str]:
    """All that follows from the specs, masked; a line each. `elsewhere`: to be compared with another namespace's."""
    items = objects(on.here)
    kept = [item for item in items if not _of_the_past(item, items)]
    spread = _spread(items) if elsewhere else ""
    return lines(on.here, on.dsn, on.ports, [_without_history(item, items, spread) for item in kept])


def observed(on: Stage) -> bool:
    """Whether each status tells of the newest spec, and the query pods run it: what is cleared up comes after that."""
    items = objects(on.here)
    ours = [item for item in items if item["kind"] in OURS]
    rolling = [item for item in items if item["kind"] == "Deployment" and _is_query(item) and not _rolled_out(item)]
    told = all(item.get("status", {}).get("observedGeneration") == item["metadata"]["generation"] for item in ours)
    return told and not rolling


def _is_query(item: Object) -> bool:
    return bool(item["metadata"].get("labels", {}).get(names.LABEL_COMPONENT) == names.COMPONENT_QUERY)


def _rolled_out(item: Object) -> bool:
    status, wanted = item.get("status", {}), item["spec"].get("replicas", 1)
    numbers = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")}
    return status.get("observedGeneration", 0) >= item["metadata"]["generation"] and numbers == {wanted}


def troubles(on: Stage) -> dict[str, str]:
    """Reasons of what is degraded, by kind; empty where the operator has nothing to object to."""
    found = {}
    for item in objects(on.here):
        for condition in item.get("status", {}).get("conditions", []) if item["kind"] in OURS else ():
            if condition["type"] == "Degraded" and condition["status"] == "True":
                found[str(item["kind"])] = str(condition["reason"])
    return found


def _of_the_past(item: Object, items: list[Object]) -> bool:
    config = item["metadata"].get("annotations", {}).get(names.ANNOTATION_CONFIG)
    if item["kind"] == "Secret" and item["metadata"]["name"] == names.cache("support"):
        return True
    if item["kind"] == "Job":
        scheduled = any(owner["kind"] == "CronJob" for owner in item["metadata"].get("ownerReferences", []))
        return scheduled or config not in _configs(items)
    of_runs = item["metadata"].get("labels", {}).get(names.LABEL_COMPONENT) == names.COMPONENT_INGEST
    return item["kind"] == "ConfigMap" and of_runs and item["metadata"]["name"] not in _configs(items)


def _configs(items: list[Object]) -> set[str]:
    """Configurations of runs to come."""
    crons = [item["spec"]["jobTemplate"]["metadata"]["annotations"] for item in items if item["kind"] == "CronJob"]
    return {str(annotations[names.ANNOTATION_CONFIG]) for annotations in crons}


def _spread(items: list[Object]) -> str:
    """The schedule that a hash of the namespace's name asks for."""
    pipeline = next((parse_pipeline(item) for item in items if item["kind"] == "RagPipeline"), None)
    tenant = next((parse_tenant(item) for item in items if item["kind"] == "RagTenant"), None)
    if pipeline is None or tenant is None:
        return ""
    meta = tenant.metadata
    return str(resolve.schedule(pipeline.spec, tenant.spec, meta.namespace, meta.name))


def _without_history(item: Object, items: list[Object], spread: str) -> Object:
    unsaid = ("status", "spec") if item["kind"] == "Job" else ("status",)
    plain = {key: value for key, value in item.items() if key not in unsaid}
    meta = item["metadata"]
    annotations = {key: value for key, value in meta.get("annotations", {}).items() if key != REVISION}
    plain["metadata"] = meta | {"annotations": annotations}
    if item["kind"] == "CronJob" and item["spec"]["schedule"] == spread:
        plain["spec"] = item["spec"] | {"schedule": "AS RESOLVED"}
    scaled = {other["spec"]["scaleTargetRef"]["name"] for other in items if other["kind"] == "HorizontalPodAutoscaler"}
    if item["kind"] in OURS:
        plain["status"] = _status(item.get("status", {}), NUMBERS if scaled else ())
    if item["kind"] == "Deployment" and meta["name"] in scaled:
        plain["spec"] = {key: value for key, value in item["spec"].items() if key != "replicas"}
    return plain


def _status(status: Object, left_out: tuple[str, ...]) -> Object:
    conditions = [
        {key: value for key, value in condition.items() if key not in ("observedGeneration", *left_out)}
        for condition in sorted(status.get("conditions", []), key=lambda condition: str(condition["type"]))
    ]
    kept = {key: value for key, value in status.items() if key not in ("observedGeneration", *left_out)}
    return kept | {"conditions": conditions}
