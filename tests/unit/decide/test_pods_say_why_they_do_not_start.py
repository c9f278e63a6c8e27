from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rag_operator.decide.pods import trouble_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pod(age: int = 60, **status: Any) -> dict[str, Any]:
    created = (NOW - timedelta(seconds=age)).isoformat().replace("+00:00", "Z")
    return {"metadata": {"name": "support-query-1", "creationTimestamp": created}, "status": status}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    container = {
        "name": "query",
        "image": "nowhere/none:1",
        "state": {"waiting": {"reason": reason, "message": message}},
    }
    return {"containerStatuses": [container]}


UNSCHEDULABLE: dict[str, Any] = {
    "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "1 Insufficient cpu."}
    ]
}
CRASHED: dict[str, Any] = {
    "containerStatuses": [
        {
            "name": "query",
            "image": "a",
            "ready": False,
            "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
        }
    ]
}


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (waiting("ImagePullBackOff"), "can't get the image nowhere/none:1: correct it"),
        (waiting("CreateContainerConfigError", 'secret "a" not found'), 'can\'t be started: secret "a" not found'),
        (UNSCHEDULABLE, "finds no node (1 Insufficient cpu.): ask for less"),
        (CRASHED, "ends again and again (OOMKilled, exit code 137): see `kubectl logs support-query-1 -c query"),
    ],
)
def test_each_trouble_is_a_sentence_with_the_mend(status: dict[str, Any], says: str) -> None:
    assert f"pod support-query-1 {says}" in trouble_of([pod(**status)], NOW)


def test_a_kubelet_that_tries_again_changes_no_sentence() -> None:
    first = trouble_of([pod(**waiting("ErrImagePull", "rpc error: 1"))], NOW)
    assert first == trouble_of([pod(**waiting("ImagePullBackOff", "Back-off 20s"))], NOW)
    again = CRASHED["containerStatuses"][0] | {"state": {"running": {}}}
    assert trouble_of([pod(containerStatuses=[again])], NOW) == trouble_of([pod(**CRASHED)], NOW)


def test_what_is_young_over_or_going_is_no_trouble() -> None:
    assert trouble_of([pod(age=3, **UNSCHEDULABLE)], NOW) == ""
    assert trouble_of([pod(phase="Failed", **CRASHED)], NOW) == ""
    going = pod(**CRASHED)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert trouble_of([going, pod(phase="Running")], NOW) == ""


def test_one_restart_is_an_accident() -> None:
    once = CRASHED["containerStatuses"][0] | {"restartCount": 1}
    assert trouble_of([pod(containerStatuses=[once])], NOW) == ""
