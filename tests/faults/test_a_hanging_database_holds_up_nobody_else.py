"""A8, DESIGN §3: one database hangs, with more tenants than reconciles run at once; those of others go on."""

from __future__ import annotations

import time

import pytest

from rag_operator.engine.queue import WIDTH
from tests.faults.conftest import Stages
from tests.faults.harness import Stage
from tests.support import postgres
from tests.support.operator import HANDBOOK, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
MANY = WIDTH + 8
WORKERS = str(WIDTH + 2)
"""Fewer than there are tenants on the database that hangs."""
SOON = 10.0
"""Seconds; a transaction on a database that hangs takes 30."""


def _touched(on: Stage) -> None:
    """Every tenant of the slow pipeline wants a reconcile."""
    on.here.kubectl("annotate", "--overwrite", "ragtenant", "-l", "slow=yes", f"someone.example/at={time.time()}")


def test_another_database_s_tenant_is_made_meanwhile(stages: Stages, postgres_server: postgres.Server) -> None:
    with stages() as on:
        other = on.here.database_secret(postgres_server.create_database(f"other_{time.time_ns()}"), "other-db")
        on.start(workers=WORKERS)
        slow = [tenant(f"slow-{n:02d}", suspend=True) for n in range(MANY)]
        for one in slow:
            one["metadata"]["labels"] = {"slow": "yes"}
        on.apply(pipeline(), HANDBOOK, on.database_secret(), other, *slow)
        on.apply(pipeline("quick", database={"secretRef": {"name": "other-db"}}))
        eventually(lambda: _laid(on) == MANY, "all laid", 60)
        on.here.wait_condition("ragpipeline", "quick", "DatabaseReady", "AsExpected")
        on.sql.hanging = True
        try:
            _touched(on)
            time.sleep(1)  # the events arrive, and all room there is for that database is taken
            on.apply(tenant("nimble", pipeline="quick", suspend=True))
            on.here.wait_condition("ragtenant", "nimble", "DatabaseReady", "AsExpected", SOON)
        finally:
            on.sql.hanging = False
        eventually(lambda: _laid(on) == MANY, "all well again", 90)


def _laid(on: Stage) -> int:
    path = '{range .items[*]}{.status.conditions[?(@.type=="DatabaseReady")].status}{"\\n"}{end}'
    return on.here.kubectl("get", "ragtenant", "-l", "slow=yes", "-o", f"jsonpath={path}").split().count("True")
