"""What a pipeline's database gives or refuses ends nothing of another pipeline's, and nobody's term."""

from __future__ import annotations

import json
from uuid import uuid4

import psycopg
import pytest

from rag_operator.kube.kinds import LEASE
from tests.support.looks import observed
from tests.support.operator import HANDBOOK, OperatorProcess, World, eventually, pipeline, tenant
from tests.support.postgres import Server
from tests.support.rights import HOME

pytestmark = pytest.mark.integration
REPORT = "UPDATE {c}.pointer SET summary = summary || %s::jsonb"
END_SESSIONS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        ("INSERT INTO {c}.reader_lease VALUES ('a', 1, 1, '[]', now() + interval '1 hour')", "AsExpected"),
        ("INSERT INTO {c}.reader_lease VALUES ('a', 1, 1, '{{}}', 'infinity')", "AsExpected"),
        ("DROP TABLE {c}.reader_lease", "DatabaseUnsuitable"),
    ],
    ids=["failures that are none", "a time that Python has none for", "a table that is gone"],
)
def test_tenants_of_another_are_mended_by_the_same_leader(
    here: World, postgres_server: Server, database: str, harm: str, reason: str
) -> None:
    replica = here.operator(resync_seconds="2")
    other = postgres_server.create_database(f"other_{uuid4().hex[:8]}")
    here.apply(here.database_secret(database), here.database_secret(other, "other"), HANDBOOK)
    here.apply(pipeline(), pipeline("sales", database={"secretRef": {"name": "other"}}))
    here.apply(tenant(suspend=True), tenant("spare", "sales", suspend=True))
    for name in ("acme", "spare"):
        here.wait_condition("ragtenant", name, "DatabaseReady", "AsExpected")
    led = leader(here)
    catalog = f"rag_{here.catalog().hex[:12]}"
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(f"SET ROLE {catalog}_owner")
        admin.execute(harm.format(c=catalog))
    rounds(replica)
    assert replica.lives()
    here.kubectl("delete", "cronjob", "spare-ingest")
    eventually(lambda: here.has("cronjob/spare-ingest"), "a resync looks at the other's tenant")
    assert replica.lives()
    assert leader(here) == led
    here.apply(tenant(suspend=True, displayName="changed"))
    observed(here, "ragtenant", "acme")
    here.wait_condition("ragpipeline", "support", "DatabaseReady", reason)
    if reason == "AsExpected":
        assert here.condition("ragtenant", "acme", "DatabaseReady")["reason"] == reason
    else:
        here.wait_condition("ragtenant", "acme", "Ready", "PipelineNotReady")


@pytest.mark.parametrize(
    "report",
    [
        {"lastIngestion": "text", "building": [1]},
        {"lastIngestion": {"startedAt": "yesterday", "succeeded": "perhaps"}},
        {"lastIngestion": {"added": 1e30, "config": 7}, "building": {"revision": 1, "percent": -1}},
    ],
    ids=["no reports", "no time", "no numbers that a status takes"],
)
def test_whatever_a_run_reports_its_tenant_is_looked_at(here: World, database: str, report: dict[str, object]) -> None:
    here.operator()
    here.apply(pipeline(), tenant(suspend=True), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(REPORT.format(c=f"rag_{here.catalog().hex[:12]}").encode(), [json.dumps(report)])
    here.apply(tenant(suspend=True, displayName="changed"))
    observed(here, "ragtenant", "acme")
    status = (here.get("ragtenant", "acme") or {})["status"]
    assert status.get("lastIngestion", {}).get("added", 0) == 0
    assert "building" not in status["index"]


def test_a_database_that_is_read_only_is_told_and_heals(here: World, database: str) -> None:
    here.operator()
    here.apply(pipeline(), tenant(suspend=True), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    with psycopg.connect(database, autocommit=True) as admin:
        name = admin.info.dbname
        admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        admin.execute(END_SESSIONS)
        here.kubectl("delete", "secret", "acme-api-key")
        here.apply(tenant(suspend=True, displayName="has another key to be written"))
        eventually(lambda: any(f"/{name} is read-only: " in one for one in unsuitable(here)), "it is told")
        admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected", 180)


def unsuitable(here: World) -> list[str]:
    """What pipeline and tenant, whichever has something to write, say of a database that won't do."""
    said = [here.condition(*one, "DatabaseReady") for one in (("ragpipeline", "support"), ("ragtenant", "acme"))]
    return [one["message"] for one in said if one.get("reason") == "DatabaseUnsuitable"]


def leader(here: World) -> tuple[str, int]:
    """Who leads, and how often that has changed."""
    spec = here.api.client.get(LEASE.path(HOME, here.namespace))["spec"]
    return spec["holderIdentity"], spec["leaseTransitions"]


def rounds(replica: OperatorProcess, count: int = 2) -> None:
    """So many resyncs that begin from now on have ended, if it lives."""
    before = replica.scrape().of("rag_operator_resyncs_total")
    eventually(
        lambda: not replica.lives() or replica.scrape().of("rag_operator_resyncs_total") > before + count,
        "so many resyncs",
    )
