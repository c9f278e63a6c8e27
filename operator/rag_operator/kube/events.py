"""Kubernetes Events: what a person must know, said once per change of state."""

from __future__ import annotations

from datetime import datetime

from rag_operator.kube.client import Api, Object
from rag_operator.kube.kinds import EVENT
from rag_operator.kube.metrics import EVENTS

COMPONENT = "rag-operator"


async def post_event(api: Api, about: Object, reason: str, message: str, now: datetime) -> None:
    """An Event about a resource; `reason` in CamelCase, Warning when it tells of trouble."""
    meta = about["metadata"]
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    warning = reason.endswith(
        ("Failed", "Mismatch", "NotFound", "Invalid", "Taken", "Unreachable", "Unavailable", "Privilege")
    )
    EVENTS.labels(reason).inc()
    await api.create(
        EVENT,
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{meta['name'][:40]}.", "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
            },
            "reason": reason,
            "message": message[:1024],
            "type": "Warning" if warning else "Normal",
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        },
    )
