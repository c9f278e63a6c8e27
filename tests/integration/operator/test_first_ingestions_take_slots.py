"""A10: many tenants that come at once are ingested a few at a time."""

from __future__ import annotations

import pytest

from tests.support.operator import COLLECTED, HANDBOOK, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
MANY = 8
FEW = 2


def _jobs(here: World) -> list[str]:
    return here.kubectl("get", "jobs", "-o", "name").split()


def _reasons(here: World) -> list[str]:
    path = '{range .items[*]}{.status.conditions[?(@.type=="Ready")].reason}{"\\n"}{end}'
    return sorted(here.kubectl("get", "ragtenants", "-o", f"jsonpath={path}").split())


def test_no_more_at_once_than_the_pipeline_allows_and_the_next_when_one_has_gone(here: World, database: str) -> None:
    here.operator()
    here.apply(pipeline(ingestion={"maxConcurrentJobs": FEW}), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
    here.apply(*(tenant(f"t{n}") for n in range(MANY)))
    shared = ["Ingesting"] * FEW + ["WaitingForSlot"] * (MANY - FEW)
    eventually(lambda: _reasons(here) == shared, "slots are taken", 60)
    assert len(_jobs(here)) == FEW
    first = next(f"t{n}" for n in range(MANY) if f"/t{n}-" in _jobs(here)[0])
    here.kubectl("delete", "ragtenant", first, "--timeout=60s")
    eventually(lambda: _reasons(here) == shared[:-1], "the next one runs", COLLECTED)
    assert len(_jobs(here)) == FEW
