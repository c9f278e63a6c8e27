"""DESIGN §3: between a look at a child and the write that follows, another puts an object of theirs under its name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.conftest import Stages
from tests.faults.harness import Stage
from tests.faults.weather import Swapping
from tests.support.operator import eventually, pipeline

pytestmark = pytest.mark.integration
THEIRS: dict[str, Any] = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "support-query"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "theirs"},
        "minReplicas": 1,
        "maxReplicas": 9,
    },
}
HPA = "horizontalpodautoscaler"


def _swapped_during(on: Stage, change: dict[str, Any]) -> dict[str, Any]:
    """A pipeline with an autoscaler, which another replaces while the operator acts on a change; theirs then."""

    theirs: dict[str, Any] = {}

    def swap() -> None:
        on.here.kubectl("delete", HPA, "support-query")
        on.apply(THEIRS)
        theirs.update(on.here.get(HPA, "support-query") or {})

    on.start()
    on.apply(pipeline(scaling={"minReplicas": 2, "maxReplicas": 4}), on.database_secret())
    eventually(lambda: on.has(f"{HPA}/support-query"), "the autoscaler")
    on.here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
    weather = Swapping(f"/{HPA}s/support-query", swap)
    on.wire.weather = weather
    on.apply(pipeline(scaling=change))
    eventually(lambda: weather.done, "the swap")
    return theirs


def _unchanged(on: Stage, theirs: dict[str, Any]) -> bool:
    stands = on.here.get(HPA, "support-query") or {"metadata": {}}
    same = stands["metadata"].get("uid") == theirs["metadata"]["uid"] and stands["spec"] == theirs["spec"]
    return same and "ownerReferences" not in stands["metadata"]


def test_it_is_not_applied_to(stages: Stages) -> None:
    with stages() as on:
        theirs = _swapped_during(on, {"minReplicas": 2, "maxReplicas": 6})
        on.here.wait_condition("ragpipeline", "support", "Degraded", "NameTaken")
        assert _unchanged(on, theirs)


def test_it_is_not_deleted(stages: Stages) -> None:
    with stages() as on:
        theirs = _swapped_during(on, {"replicas": 3})
        on.settled(lambda: (on.here.get("deployment", "support-query") or {})["spec"]["replicas"] == 3)
        assert _unchanged(on, theirs)
