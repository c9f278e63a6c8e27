"""DESIGN §3: idle means zero writes, the Lease aside."""

from __future__ import annotations

import time

import pytest

from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
TENANTS = 5


def test_resyncs_of_settled_tenants_write_nothing_but_the_lease(here: World, database: str) -> None:
    here.operator(resync_seconds="2")
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
    audit = here.api.audit
    time.sleep(2)
    mark = audit.mark()
    time.sleep(8)
    writes = [e for e in audit.writes(mark, user=here.user) if e.resource != "leases"]
    renewals = [e for e in audit.writes(mark, user=here.user) if e.resource == "leases"]
    assert renewals, "the audit log shows this operator's writes at all"
    assert not writes
