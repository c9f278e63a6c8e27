"""What a kubelet would say where there is none: query pods are ready soon after they are made; roll-outs end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from rag_operator.api import names
from tests.cluster.kube_api import ApiError
from tests.support.operator import World

PERIOD = 0.5
SELECTOR = f"{names.LABEL_COMPONENT}={names.COMPONENT_QUERY}"
MERGE = "application/merge-patch+json"


@contextmanager
def pods_get_ready(here: World) -> Iterator[None]:
    """While the body runs."""
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(here, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)


def _run(here: World, stop: threading.Event) -> None:
    client, pods = here.api.client, f"/api/v1/namespaces/{here.namespace}/pods"
    while not stop.wait(PERIOD):
        with suppress(ApiError, OSError):
            for pod in client.get(f"{pods}?labelSelector={SELECTOR.replace('/', '%2F').replace('=', '%3D')}")["items"]:
                if not _is_ready(pod):
                    client.call("PATCH", f"{pods}/{pod['metadata']['name']}/status", _ready(), MERGE)


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _ready() -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}]}
    }
