"""A7 and DATA §7: erasure is proven. Whatever is left of it holds the resource, is named, and heals when it goes."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration


def test_what_is_left_of_erased_data_holds_the_tenant(here: World, database: str) -> None:
    here.operator()
    policy = {"deletionPolicy": "Delete"}
    here.apply(pipeline(**policy), tenant(**policy, suspend=True), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    schema = str((here.get("ragtenant", "acme") or {})["status"]["schema"])
    left = f"rag_renamed_{schema.rpartition('_')[2]}"
    with psycopg.connect(database) as admin:
        admin.execute(f"CREATE SCHEMA {left}")

    here.kubectl("delete", "ragtenant", "acme", "--wait=false")
    told = f"erasure is not complete: schema {left} is still there"
    eventually(lambda: told in here.condition("ragtenant", "acme", "Ready")["message"], "what is left is named")
    assert here.audited("DataErased") == []

    with psycopg.connect(database) as admin:
        admin.execute(f"DROP SCHEMA {left}")
    eventually(lambda: here.get("ragtenant", "acme") is None, "it goes")
    assert here.wait_audited("DataErased")["name"] == "acme"
