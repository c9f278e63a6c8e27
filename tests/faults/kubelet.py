"""What Deployment controller and kubelets would say where there are none: soon all query pods are ready and the newest.

An API server without nodes leaves Deployments without a status, and what is cleared up after a roll-out stays for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rag_operator.api import names
from tests.cluster.kube_api import ApiError
from tests.support.operator import World

PERIOD = 0.5
SELECTOR = f"{names.LABEL_COMPONENT}={names.COMPONENT_QUERY}"
MERGE = "application/merge-patch+json"
NUMBERS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")


@contextmanager
def rollouts_end(here: World) -> Iterator[None]:
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
    client, path = here.api.client, f"/apis/apps/v1/namespaces/{here.namespace}/deployments"
    while not stop.wait(PERIOD):
        with suppress(ApiError, OSError):
            for live in client.get(f"{path}?labelSelector={SELECTOR.replace('/', '%2F').replace('=', '%3D')}")["items"]:
                if live.get("status", {}) != (status := _rolled_out(live)):
                    client.call("PATCH", f"{path}/{live['metadata']['name']}/status", {"status": status}, MERGE)


def _rolled_out(live: dict[str, Any]) -> dict[str, int]:
    wanted = int(live["spec"].get("replicas", 1))
    return {"observedGeneration": int(live["metadata"]["generation"])} | dict.fromkeys(NUMBERS, wanted)
