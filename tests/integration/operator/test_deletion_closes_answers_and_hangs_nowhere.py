"""A7 and DATA §7: deletion follows the policy, explains itself, and never waits for what is gone."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.operator import COLLECTED, HANDBOOK, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration


def _schemas(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as admin:
        rows = admin.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'rag\\_%'").fetchall()
    return {str(row[0]) for row in rows}


def _row(dsn: str) -> tuple[str, list[str], bool]:
    """State, API keys and openness of the only tenant that the database knows."""
    with psycopg.connect(dsn) as admin:
        catalog = next(s for s in _schemas(dsn) if len(s) == len("rag_") + 12)
        admin.execute(f"SET ROLE {catalog}_owner")
        (row,) = admin.execute(
            f"SELECT t.state, t.api_keys, p.open FROM {catalog}.tenant t JOIN {catalog}.pointer p ON p.tenant = t.id"
        ).fetchall()
    state, keys, is_open = row
    return str(state), list(keys), bool(is_open)


def _ready(here: World, database: str, **policies: str) -> str:
    here.operator()
    spec = {"deletionPolicy": policies["pipeline"]} if "pipeline" in policies else {}
    own = {"deletionPolicy": policies["tenant"]} if "tenant" in policies else {}
    here.apply(pipeline(**spec), tenant(**own), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    return str((here.get("ragtenant", "acme") or {})["status"]["schema"])


def test_retain_is_the_default_and_keeps_the_data_closed(here: World, database: str) -> None:
    schema = _ready(here, database)
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    assert schema in _schemas(database)
    eventually(lambda: "DataRetained" in here.kubectl("get", "events"), "an Event says so")
    assert _row(database) == ("Retained", [], False)


def test_delete_on_both_erases_all(here: World, database: str) -> None:
    schema = _ready(here, database, pipeline="Delete", tenant="Delete")
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    assert schema not in _schemas(database)
    with psycopg.connect(database) as admin:
        left = admin.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE %s", [f"%{schema[-10:]}%"]).fetchall()
    assert left == []
    eventually(lambda: "DataErased" in here.kubectl("get", "events"), "an Event says so")


def test_the_stricter_policy_wins(here: World, database: str) -> None:
    schema = _ready(here, database, tenant="Delete")
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    assert schema in _schemas(database)


def test_a_tenant_of_the_same_name_finds_retained_data_and_adopts_it_only_when_told(here: World, database: str) -> None:
    schema = _ready(here, database)
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    here.apply(tenant())
    said = here.wait_condition("ragtenant", "acme", "Ready", "RetainedData", COLLECTED)
    incarnation = said["message"].split("adopt-retained: ")[1].split(" ")[0]
    here.kubectl("annotate", "ragtenant", "acme", f"rag-operator.dev/adopt-retained={incarnation}")
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected", 180)
    assert (here.get("ragtenant", "acme") or {})["status"]["schema"] == schema


def test_retained_data_is_erased_when_told_and_the_new_tenant_starts_empty(here: World, database: str) -> None:
    schema = _ready(here, database)
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    here.apply(tenant())
    said = here.wait_condition("ragtenant", "acme", "Ready", "RetainedData", COLLECTED)
    incarnation = said["message"].split("erase-retained: ")[1].split(" ")[0]
    here.kubectl("annotate", "ragtenant", "acme", f"rag-operator.dev/erase-retained={incarnation}")
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected", 180)
    fresh = (here.get("ragtenant", "acme") or {})["status"]["schema"]
    assert fresh != schema
    assert schema not in _schemas(database)
    assert fresh in _schemas(database)


def test_data_that_was_never_adopted_survives_the_deletion_of_its_name_s_next_tenant(
    here: World, database: str
) -> None:
    schema = _ready(here, database, pipeline="Delete")
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    here.apply(tenant(deletionPolicy="Delete"))
    here.wait_condition("ragtenant", "acme", "Ready", "RetainedData", COLLECTED)
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    assert schema in _schemas(database)
    assert _row(database)[:1] == ("Retained",)
    assert (len(here.audited("DataRetained")), here.audited("DataErased")) == (1, [])


def test_answers_are_closed_before_ingestion_has_ended_and_the_tenant_goes_afterwards(
    here: World, database: str
) -> None:
    _ready(here, database)
    job = eventually(lambda: here.kubectl("get", "jobs", "-o", "name").strip(), "the first ingestion")
    here.kubectl("patch", job, "--type=merge", "-p", '{"metadata":{"finalizers":["someone.example/slow"]}}')
    here.kubectl("delete", "ragtenant", "acme", "--wait=false")
    eventually(lambda: "deletionTimestamp" in (here.get("job", job.split("/")[1]) or {})["metadata"], "it is stopped")
    assert _row(database) == ("Deactivated", [], False)
    assert here.get("ragtenant", "acme")
    here.kubectl("patch", job, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    eventually(lambda: not here.get("ragtenant", "acme"), "the tenant goes")


def test_a_pipeline_with_tenants_explains_itself_and_goes_when_they_have_gone(here: World, database: str) -> None:
    _ready(here, database)
    here.kubectl("delete", "ragpipeline", "support", "--wait=false")
    said = here.wait_condition("ragpipeline", "support", "Ready", "TenantsRemain")
    assert "acme" in said["message"]
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    eventually(lambda: not here.get("ragpipeline", "support"), "the pipeline goes")


def test_a_pipeline_and_its_tenants_go_though_the_operator_is_replaced_meanwhile(here: World, database: str) -> None:
    _ready(here, database)
    here.replicas[0].stop()
    here.kubectl("delete", "ragpipeline,ragtenant", "--all", "--wait=false")
    here.operator()
    eventually(lambda: not here.get("ragtenant", "acme"), "the tenant goes")
    eventually(lambda: not here.get("ragpipeline", "support"), "the pipeline goes")


def test_a_tenant_of_a_missing_pipeline_goes_at_once(here: World) -> None:
    here.operator()
    here.apply(tenant(pipeline="nowhere"))
    here.wait_condition("ragtenant", "acme", "Ready", "PipelineNotFound")
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_a_terminating_namespace_does_not_hang_and_its_answers_are_closed(
    here: World, database: str, policy: str
) -> None:
    schema = _ready(here, database, pipeline=policy, tenant=policy)
    here.api.kubectl("delete", "namespace", here.namespace, "--wait=false")
    eventually(
        lambda: not here.api.kubectl("get", "ragtenant,ragpipeline", "-n", here.namespace, "-o", "name").strip(),
        "our resources are gone",
        180,
    )
    assert (schema in _schemas(database)) == (policy == "Retain")
    if policy == "Retain":
        assert _row(database) == ("Retained", [], False)


def test_a_database_gone_for_good_with_its_secret_does_not_hold_a_terminating_namespace(
    here: World, database: str
) -> None:
    _ready(here, database)
    here.apply(here.database_secret(database.replace("dbname=", "dbname=no_such_")))
    here.wait_condition("ragpipeline", "support", "Ready", "DatabaseUnsuitable", 180)
    here.api.kubectl("delete", "namespace", here.namespace, "--wait=false")
    eventually(
        lambda: not here.api.kubectl("get", "ragtenant,ragpipeline", "-n", here.namespace, "-o", "name").strip(),
        "our resources are gone",
        180,
    )
