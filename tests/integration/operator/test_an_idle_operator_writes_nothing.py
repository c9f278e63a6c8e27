"""DESIGN §3: idle means zero writes, the Lease aside."""

from __future__ import annotations

import pytest

from tests.support.looks import idles, looks, settles
from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant
from tests.support.revisions import build_revision, pods_serve

pytestmark = pytest.mark.integration
TENANTS = 5


def test_resyncs_of_settled_tenants_write_nothing_but_the_lease(here: World, database: str) -> None:
    replica = here.operator(resync_seconds="2")
    tenants = [tenant(f"t{i}", suspend=True) for i in range(TENANTS)]
    here.apply(pipeline(), HANDBOOK, *tenants, here.database_secret(database))
    for i in range(TENANTS):
        here.wait_condition("ragtenant", f"t{i}", "Ready", "Suspended")
    eventually(
        lambda: (
            ((here.get("ragpipeline", "support") or {}).get("status", {}).get("tenants") or {}).get("total") == TENANTS
        ),
        "the counts",
    )
    idles(here, replica)


def test_query_pods_that_come_and_go_are_written_of_at_no_tenant(here: World, database: str) -> None:
    """An autoscaler moves them all day: thousands of tenants would be written each time."""
    replica = here.operator(resync_seconds="2")
    here.apply(pipeline(chunking={"size": 100}), tenant(suspend=True), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    build_revision(here, "acme", 100)
    pods_serve(database, "pod-0")
    here.wait_condition("ragtenant", "acme", "Ready", "Ready")
    settles(here, replica)
    mark = here.api.audit.mark()
    for pods in (("pod-0", "pod-1", "pod-2"), ("pod-2",)):
        pods_serve(database, *pods)
        looks(replica)
    assert not [entry for entry in here.api.audit.writes(mark, user=here.user) if entry.resource == "ragtenants"]
    pods_serve(database)
    here.wait_condition("ragtenant", "acme", "Ready", "NoPodsReady")
