"""What the controllers of Deployments and Jobs would say on an API server that has neither them nor nodes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from rag_operator.api import names
from tests.cluster.kube_api import ApiError
from tests.support.operator import World, eventually

PERIOD = 0.3
MERGE = "application/merge-patch+json"


@contextmanager
def rollouts_end(here: World) -> Iterator[None]:
    """While the body runs, every query Deployment of the namespace is soon rolled out, its pods ready."""
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(here, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)


def rollout_fails(here: World, name: str) -> None:
    """Say that the new pod of this Deployment did not become ready in time; those of before serve."""
    live = here.get("deployment", name) or {}
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    _say(here, live, ready=int(live["spec"]["replicas"]), updated=1, more=1, conditions=[late])


def job_runs(here: World) -> str:
    """Say that the pod of the only Job is ready; returns the Job's name."""
    name = eventually(lambda: here.kubectl("get", "jobs", "-o", "name").strip().removeprefix("job.batch/"), "a Job")
    started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    status = {"active": 1, "ready": 1, "startTime": started}
    path = f"/apis/batch/v1/namespaces/{here.namespace}/jobs/{name}/status"
    here.api.client.call("PATCH", path, {"status": status}, MERGE)
    return name


def _run(here: World, stop: threading.Event) -> None:
    path = f"/apis/apps/v1/namespaces/{here.namespace}/deployments"
    while not stop.wait(PERIOD):
        with suppress(ApiError, OSError):
            for live in here.api.client.get(path)["items"]:
                if live["metadata"]["labels"].get(names.LABEL_COMPONENT) == names.COMPONENT_QUERY:
                    _complete(here, live)


def _complete(here: World, live: dict[str, Any]) -> None:
    wanted, status = int(live["spec"]["replicas"]), live.get("status", {})
    seen = status.get("observedGeneration", 0) >= live["metadata"]["generation"]
    if not seen or {status.get(part, 0) for part in ("replicas", "updatedReplicas", "readyReplicas")} != {wanted}:
        _say(here, live, ready=wanted, updated=wanted, more=0, conditions=[])


def _say(
    here: World, live: dict[str, Any], *, ready: int, updated: int, more: int, conditions: list[dict[str, str]]
) -> None:
    meta = live["metadata"]
    status = {
        "observedGeneration": meta["generation"],
        "replicas": ready + more,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "conditions": conditions,
    }
    path = f"/apis/apps/v1/namespaces/{here.namespace}/deployments/{meta['name']}/status"
    here.api.client.call("PATCH", path, {"status": status}, MERGE)
