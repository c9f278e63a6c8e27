"""Why pods don't start, in a sentence with the mend, given their status.

Words that alternate while the kubelet tries again (ErrImagePull, ImagePullBackOff) become one sentence: a condition
that changed with each try would be written each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

GRACE = timedelta(seconds=10)
"""A pod may wait so long for a node or a volume before it is said."""
_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
_CONFIGURATION = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_CRASHES = 2
"""Ends of a container that are no accident any more."""
_OVER = ("Succeeded", "Failed")


def trouble_of(pods: Iterable[dict[str, Any]], now: datetime) -> str:
    """What keeps the first pod that is kept from running; empty where nothing does."""
    for pod in sorted(pods, key=lambda one: str(one["metadata"]["name"])):
        if pod["metadata"].get("deletionTimestamp") or pod.get("status", {}).get("phase") in _OVER:
            continue
        if _since(pod["metadata"]["creationTimestamp"], now) < GRACE:
            continue
        for found in (*_unscheduled(pod), *_containers(pod)):
            return f"pod {pod['metadata']['name']} {found}"
    return ""


def _since(time: str, now: datetime) -> timedelta:
    return now - datetime.fromisoformat(time)


def _unscheduled(pod: dict[str, Any]) -> Iterator[str]:
    for each in pod.get("status", {}).get("conditions", []):
        if each["type"] == "PodScheduled" and each["status"] == "False" and each.get("reason") == "Unschedulable":
            yield f"finds no node ({each.get('message', '')}): ask for less, or give the cluster room"


def _containers(pod: dict[str, Any]) -> Iterator[str]:
    status = pod.get("status", {})
    for each in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
        waiting = each.get("state", {}).get("waiting", {})
        reason, ended = waiting.get("reason", ""), each.get("lastState", {}).get("terminated", {})
        if reason in _PULL:
            yield f"can't get the image {each['image']}: correct it, or name the Secret that it is pulled with"
        elif reason in _CONFIGURATION:
            yield f"can't be started: {waiting.get('message', reason)}"
        elif each.get("restartCount", 0) >= _CRASHES and not each.get("ready") and ended:
            why = f"{ended.get('reason', 'Error')}, exit code {ended.get('exitCode')}"
            name = pod["metadata"]["name"]
            yield f"ends again and again ({why}): see `kubectl logs {name} -c {each['name']} --previous`"
