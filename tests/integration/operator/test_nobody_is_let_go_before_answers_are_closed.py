"""DATA §7: in a namespace that is being deleted a tenant waits for its database, and not for ever."""

from __future__ import annotations

import json
import signal
from functools import partial
from typing import Any

import psycopg
import pytest

from tests.support import postgres
from tests.support.operator import COLLECTED, EVERYONE, HANDBOOK, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
YET = "answers can't be closed yet"


def laid(here: World, there: World, database: str, policy: str = "Retain", **settings: str) -> str:
    """A pipeline, and a guest whose schema there is; the catalog's own schema."""
    here.operator(watch_namespaces=f"{here.namespace},{there.namespace}", **settings)
    here.apply(pipeline(tenancy=EVERYONE, deletionPolicy=policy), here.database_secret(database))
    reference = {"name": "support", "namespace": here.namespace}
    there.apply(tenant(pipelineRef=reference, deletionPolicy=policy), HANDBOOK)
    there.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    catalog = here.catalog().hex[:12]
    assert row(database, f"rag_{catalog}") == [("Active", 1, True)]
    return f"rag_{catalog}"


def row(dsn: str, catalog: str) -> list[tuple[Any, ...]]:
    """State, number of API keys and openness of the only tenant; empty where it was erased."""
    with psycopg.connect(dsn) as admin:
        admin.execute(f"SET ROLE {catalog}_owner")
        return admin.execute(
            "SELECT t.state, cardinality(t.api_keys), p.open"
            f" FROM {catalog}.tenant t JOIN {catalog}.pointer p ON p.tenant = t.id"
        ).fetchall()


def leave(there: World) -> None:
    """The namespace is being deleted, and the tenant with it."""
    there.api.kubectl("delete", "namespace", there.namespace, "--wait=false")
    eventually(lambda: "deletionTimestamp" in (there.get("ragtenant", "acme") or {})["metadata"], "it is told to go")


def gone(there: World) -> bool:
    """Whether the namespace is."""
    return not there.api.kubectl("get", "namespace", there.namespace, "--ignore-not-found", "-o", "name")


def waits(there: World) -> str:
    """What the tenant says while its answers can't be closed; empty where it says something else."""
    said = str(there.condition("ragtenant", "acme", "Ready").get("message", ""))
    return said if said.startswith(YET) else ""


@pytest.mark.parametrize(("policy", "left"), [("Retain", [("Retained", 0, False)]), ("Delete", [])])
def test_an_operator_that_was_killed_closes_a_guest_whose_namespace_went_meanwhile(
    here: World, there: World, database: str, policy: str, left: list[tuple[Any, ...]]
) -> None:
    catalog = laid(here, there, database, policy)
    schema = (there.get("ragtenant", "acme") or {})["status"]["schema"]
    here.replicas[0].stop(signal.SIGKILL)
    leave(there)
    here.replicas[0].start()
    eventually(partial(gone, there), "the namespace goes", COLLECTED)
    assert row(database, catalog) == left
    with psycopg.connect(database) as admin:
        (kept,) = admin.execute("SELECT to_regnamespace(%s) IS NOT NULL", [schema]).fetchall()[0]
    assert kept is bool(left)
    assert not here.audited("DataLeft")


@pytest.mark.parametrize(("policy", "left"), [("Retain", [("Retained", 0, False)]), ("Delete", [])])
def test_a_database_whose_secret_goes_before_all_else_of_its_namespace_is_still_written_to(
    here: World, database: str, policy: str, left: list[tuple[Any, ...]]
) -> None:
    here.operator()
    here.apply(pipeline(deletionPolicy=policy), tenant(deletionPolicy=policy), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    catalog = f"rag_{here.catalog().hex[:12]}"
    assert row(database, catalog) == [("Active", 1, True)]
    here.kubectl("delete", "secret", "db")
    here.wait_condition("ragpipeline", "support", "Ready", "SecretNotFound")
    here.api.kubectl("delete", "namespace", here.namespace, "--wait=false")
    eventually(partial(gone, here), "the namespace goes", COLLECTED)
    assert row(database, catalog) == left
    assert not here.audited("DataLeft")


def test_data_are_kept_where_the_pipeline_said_so_last_though_its_spec_is_refused(here: World, database: str) -> None:
    here.operator()
    spec: dict[str, Any] = {"deletionPolicy": "Delete"}
    here.apply(pipeline(**spec), tenant(deletionPolicy="Delete"), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    catalog = f"rag_{here.catalog().hex[:12]}"
    here.apply(pipeline(deletionPolicy="Retain", runtimeVersion="99.0.0"))
    here.wait_condition("ragpipeline", "support", "Ready", "InvalidSpec")
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    assert row(database, catalog) == [("Retained", 0, False)]


def test_a_guest_waits_for_a_database_that_is_busy(here: World, there: World, database: str) -> None:
    catalog = laid(here, there, database)
    with psycopg.connect(database) as busy:
        busy.execute(f"SET ROLE {catalog}_owner")
        busy.execute(f"LOCK TABLE {catalog}.tenant IN ACCESS EXCLUSIVE MODE")
        leave(there)
        eventually(partial(waits, there), "it says so")
    eventually(partial(gone, there), "the namespace goes", COLLECTED)
    assert row(database, catalog) == [("Retained", 0, False)]
    assert not here.audited("DataLeft")


def test_a_database_elsewhere_that_stays_read_only_is_waited_for_some_time_only(
    here: World, there: World, database: str
) -> None:
    laid(here, there, database, leave_grace_seconds="12")
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {admin.info.dbname} SET default_transaction_read_only = on")
        admin.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    leave(there)
    eventually(lambda: "is read-only" in waits(there), "it is waited for")
    eventually(partial(gone, there), "the namespace goes", COLLECTED)
    assert "tried in vain" in here.wait_audited("DataLeft")["message"]


def test_a_database_elsewhere_that_is_gone_for_good_is_waited_for_some_time_only(
    here: World, there: World, own_server: postgres.Server
) -> None:
    laid(here, there, own_server.dsn(), leave_grace_seconds="12")
    own_server.stop()
    leave(there)
    eventually(partial(waits, there), "it is waited for")
    eventually(partial(gone, there), "the namespace goes", COLLECTED)
    line = here.wait_audited("DataLeft")
    assert "tried in vain" in line["message"], json.dumps(line)


def test_a_guest_whose_pipeline_has_lost_its_secret_too_is_let_go_at_once(
    here: World, there: World, database: str
) -> None:
    laid(here, there, database)
    here.replicas[0].stop()
    here.kubectl("delete", "secret", "db")
    leave(there)
    here.operator(watch_namespaces=f"{here.namespace},{there.namespace}")
    eventually(partial(gone, there), "the namespace goes", COLLECTED)
    assert "Secret is gone" in here.wait_audited("DataLeft")["message"]
