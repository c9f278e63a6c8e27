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


def _laid_and_looked_at_at_once(here: World, database: str) -> None:
    """All tenants are there with their schemas when an operator begins that may ingest them."""
    former = here.operator()
    here.apply(pipeline(ingestion={"maxConcurrentJobs": FEW}), HANDBOOK, here.database_secret(database))
    here.apply(*(tenant(f"t{n}", suspend=True) for n in range(MANY)))
    eventually(lambda: _reasons(here) == ["Suspended"] * MANY, "all are laid", 180)
    former.stop()
    here.apply(*(tenant(f"t{n}") for n in range(MANY)))
    here.operator()


def test_no_more_at_once_than_the_pipeline_allows_and_the_next_when_one_has_gone(here: World, database: str) -> None:
    _laid_and_looked_at_at_once(here, database)
    shared = ["Ingesting"] * FEW + ["WaitingForSlot"] * (MANY - FEW)
    eventually(lambda: _reasons(here) == shared, "slots are taken", 180)
    assert len(_jobs(here)) == FEW
    first = next(f"t{n}" for n in range(MANY) if f"/t{n}-" in _jobs(here)[0])
    here.kubectl("delete", "ragtenant", first, "--timeout=180s")
    eventually(lambda: _reasons(here) == shared[:-1], "the next one runs", COLLECTED)
    assert len(_jobs(here)) == FEW
