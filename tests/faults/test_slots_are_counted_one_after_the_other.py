"""A10: tenants that look for a slot while another's run is on its way to the API server find that one taken."""

from __future__ import annotations

import pytest
from aiohttp import web

from tests.faults.conftest import Stages
from tests.faults.weather import Delaying
from tests.support.operator import HANDBOOK, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
MANY, FEW = 6, 2
SLOW = 2.0
"""Seconds that a run takes to the API server: meanwhile all the others have looked."""


def _runs(request: web.Request) -> bool:
    return request.method == "POST" and request.path.endswith("/jobs")


def test_a_run_on_its_way_has_its_slot(stages: Stages) -> None:
    with stages() as on:
        on.wire.weather = Delaying(SLOW, times=MANY, which=_runs)
        on.start()
        on.apply(pipeline(ingestion={"maxConcurrentJobs": FEW}), HANDBOOK, on.database_secret())
        on.here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
        on.apply(*(tenant(f"t{n}") for n in range(MANY)))

        def reasons() -> list[str]:
            return sorted(on.here.condition("ragtenant", f"t{n}", "Ready").get("reason", "") for n in range(MANY))

        shared = ["Ingesting"] * FEW + ["WaitingForSlot"] * (MANY - FEW)
        eventually(lambda: reasons() == shared, "some run, and the others wait", 180)
        assert len(on.here.kubectl("get", "jobs", "-o", "name").split()) == FEW
