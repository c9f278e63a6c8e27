"""A8: replicas with one leader; killed at any moment, the next one ends with the same state."""

from __future__ import annotations

import signal
import time

import psycopg
import pytest

from rag_operator.kube.kinds import LEASE
from tests.support.looks import stands_by
from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant
from tests.support.rights import HOME
from tests.support.terms import one_writer_at_a_time

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("after", [0.6, 1.2, 1.8, 2.5])
def test_killed_in_the_middle_the_next_one_ends_with_one_catalog_and_one_schema(
    here: World, database: str, after: float
) -> None:
    here.apply(pipeline(), tenant(), HANDBOOK, here.database_secret(database))
    first = here.operator()
    time.sleep(after)
    first.stop(signal.SIGKILL)
    here.operator()
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected", 180)
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected", 180)
    with psycopg.connect(database) as admin:
        schemas = admin.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'rag\\_%'").fetchall()
    assert len(schemas) == 2
    eventually(lambda: len(here.kubectl("get", "jobs", "-o", "name").split()) == 1, "one first ingestion")


def test_of_two_replicas_one_leads_and_the_other_takes_over(here: World, database: str) -> None:
    with one_writer_at_a_time(here):
        here.operator()
        here.apply(pipeline(), tenant("a", suspend=True), HANDBOOK, here.database_secret(database))
        here.wait_condition("ragtenant", "a", "Ready", "Suspended")
        second = here.operator()
        stands_by(here, second.environment["POD_NAME"])
        assert "leading" not in second.log.read_text()
        here.replicas[0].stop(signal.SIGKILL)
        here.apply(tenant("b", suspend=True))
        here.wait_condition("ragtenant", "b", "Ready", "Suspended", 180)
        assert "leading" in second.log.read_text()


def test_both_replicas_killed_and_started_again_need_no_event_of_the_past(here: World, database: str) -> None:
    with one_writer_at_a_time(here):
        here.operator()
        here.operator()
        here.apply(pipeline(), here.database_secret(database))
        here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
        for replica in here.replicas:
            replica.stop(signal.SIGKILL)
        here.apply(tenant(), HANDBOOK)
        here.kubectl("delete", "service", "support")
        for replica in here.replicas:
            replica.start()
        here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected", 180)
        eventually(lambda: here.get("service", "support"), "what was deleted meanwhile comes back")


def test_a_graceful_stop_hands_over_within_seconds(here: World, database: str) -> None:
    with one_writer_at_a_time(here):
        first = here.operator()
        here.apply(pipeline(), here.database_secret(database))
        here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
        second = here.operator()
        stands_by(here, second.environment["POD_NAME"])
        here.apply(tenant(suspend=True), HANDBOOK)
        first.stop()
        assert not _holder(here).startswith(f"{first.environment['POD_NAME']}-"), "it waits for no Lease to run out"
        eventually(lambda: "leading" in second.log.read_text(), "the second leads")
        here.wait_condition("ragtenant", "acme", "Ready", "Suspended")


def _holder(here: World) -> str:
    return str(here.api.client.get(LEASE.path(HOME, here.namespace))["spec"].get("holderIdentity") or "")
