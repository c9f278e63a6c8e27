from __future__ import annotations

from typing import Any

from rag_operator.engine.rollout import overdue, refused_pods


def deployment(*conditions: dict[str, str]) -> dict[str, Any]:
    return {
        "metadata": {"name": "a-query"},
        "spec": {"progressDeadlineSeconds": 300},
        "status": {"conditions": list(conditions)},
    }


def test_new_pods_that_never_become_ready_are_said() -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    assert "did not become ready within 300 s" in overdue(deployment(late))
    assert overdue(deployment({"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"})) == ""


def test_pods_that_are_refused_are_said_in_the_api_servers_words() -> None:
    assert refused_pods(deployment({"type": "ReplicaFailure", "status": "True", "message": "quota"})) == "quota"
    assert refused_pods(deployment()) == ""
