"""A8, DESIGN §3: of three databases one hangs, with more tenants than reconciles run at once; the others' go on."""

from __future__ import annotations

import time

import pytest

from rag_operator.engine.queue import WIDTH
from tests.faults.conftest import Stages
from tests.faults.harness import Stage
from tests.support import postgres
from tests.support.operator import HANDBOOK, OperatorProcess, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
OTHERS = ("quick", "nimble")
MANY = WIDTH + 8
WORKERS = str(WIDTH + 2)
"""Fewer than there are tenants on the database that hangs."""
SOON = 20.0
"""Seconds; a transaction on a database that hangs takes 30."""
TRANSACTION = 30.0
"""Seconds: the bucket of resyncs that waited for the database that hangs for less, which is ten."""


def _touched(on: Stage) -> None:
    """Every tenant of the slow pipeline wants a reconcile."""
    on.here.kubectl("annotate", "--overwrite", "ragtenant", "-l", "slow=yes", f"someone.example/at={time.time()}")


def test_another_database_s_tenant_is_made_meanwhile(stages: Stages, postgres_server: postgres.Server) -> None:
    with stages() as on:
        others = [
            on.here.database_secret(postgres_server.create_database(f"{name}_{time.time_ns()}"), f"{name}-db")
            for name in OTHERS
        ]
        replica = on.start(workers=WORKERS)
        slow = [tenant(f"slow-{n:02d}", suspend=True) for n in range(MANY)]
        for one in slow:
            one["metadata"]["labels"] = {"slow": "yes"}
        on.apply(pipeline(), HANDBOOK, on.database_secret(), *others, *slow)
        for name in OTHERS:
            on.apply(pipeline(name, database={"secretRef": {"name": f"{name}-db"}}))
            on.apply(tenant(f"old-{name}", pipeline=name, suspend=True))
        eventually(lambda: _laid(on) == MANY, "all laid", 180)
        for name in OTHERS:
            on.here.wait_condition("ragtenant", f"old-{name}", "DatabaseReady", "AsExpected")
        on.sql.hanging = True
        try:
            _touched(on)
            eventually(lambda: _no_room(replica), "all room there is for that database is taken")
            on.here.kubectl("delete", "cronjob", *(f"old-{name}-ingest" for name in OTHERS))
            for name in OTHERS:
                on.apply(tenant(f"new-{name}", pipeline=name, suspend=True))
            for name in OTHERS:
                on.here.wait_condition("ragtenant", f"new-{name}", "DatabaseReady", "AsExpected", SOON)
            children = [f"cronjob/old-{name}-ingest" for name in OTHERS]
            eventually(lambda: on.has(*children), "a resync looks at the others")
            took = replica.scrape().buckets("rag_operator_resync_seconds")
            assert took[TRANSACTION] == took[float("inf")] > 0
        finally:
            on.sql.hanging = False
        eventually(lambda: _laid(on) == MANY, "all well again", 180)


def _no_room(replica: OperatorProcess) -> bool:
    """Whether as many are being worked on as may be, of one database, and more wait."""
    seen = replica.scrape()
    return seen.of("rag_operator_queue_full_lanes") == 1 and seen.of("rag_operator_queue_working") >= WIDTH


def _laid(on: Stage) -> int:
    path = '{range .items[*]}{.status.conditions[?(@.type=="DatabaseReady")].status}{"\\n"}{end}'
    return on.here.kubectl("get", "ragtenant", "-l", "slow=yes", "-o", f"jsonpath={path}").split().count("True")
