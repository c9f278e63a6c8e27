"""F5: query pods are replaced and taken away under load, and every request is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.asking import api_key
from tests.e2e.place import PIPELINE, Place
from tests.support.load import Load, Phase, running
from tests.support.operator import eventually

pytestmark = pytest.mark.e2e
RATE = 20


def test_a_rolling_restart_loses_none(place: Place) -> None:
    def restart() -> None:
        place.kubectl("rollout", "restart", "deployment/support-query")
        _rolled_out(place)

    _loses_none(place, restart)


def test_scaling_out_and_in_loses_none(place: Place) -> None:
    def out_and_in() -> None:
        fixed: dict[str, Any] = {"scaling": {"replicas": 4}}
        place.apply(PIPELINE | {"spec": {"database": {"managed": {}}} | fixed})
        eventually(lambda: _pods(place) == 4, "four pods are ready", 90)
        fixed["scaling"]["replicas"] = 1
        place.apply(PIPELINE | {"spec": {"database": {"managed": {}}} | fixed})
        eventually(lambda: _pods(place) == 1, "three of them are gone", 90)

    try:
        _loses_none(place, out_and_in)
    finally:
        place.apply(PIPELINE)
        place.wait_ready("ragpipeline", "support", 90)


def _loses_none(place: Place, disturb: Callable[[], None]) -> None:
    address = f"http://{place.get('service', 'support')['spec']['clusterIP']}:8000"
    load = Load(address, api_key(place.tools, place.namespace, "acme"), "When does the bakery open?", RATE)
    load.phase = phase = Phase("disturbed")

    async def loaded() -> None:
        async with running(load):
            await asyncio.to_thread(disturb)
            await asyncio.sleep(3)  # a pod that goes may still be asked for a moment

    asyncio.run(loaded())
    assert phase.found["200"] > RATE
    assert phase.lost == 0, dict(phase.found)


def _rolled_out(place: Place) -> None:
    place.kubectl("rollout", "status", "deployment/support-query", "--timeout=120s")
    place.kubectl("wait", "ragpipeline/support", "--for=condition=Ready", "--timeout=90s")


def _pods(place: Place) -> int:
    """Of the query service, those that are ready; 0 while one that is not there to stay remains."""
    status = place.get("deployment", "support-query")["status"]
    ready = int(status.get("readyReplicas", 0))
    selector = "app.kubernetes.io/component=query"
    every = place.kubectl("get", "pods", "-l", selector, "-o", "name").split()
    return ready if len(every) == ready else 0
