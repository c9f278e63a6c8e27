"""A5: what only the cluster can tell becomes a condition with the mend, and heals by itself when mended."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest

from tests.support import postgres
from tests.support.looks import looks, observed
from tests.support.operator import COLLECTED, HANDBOOK, World, eventually, pipeline, secret, tenant

pytestmark = pytest.mark.integration


def test_a_secret_that_comes_later(here: World, database: str) -> None:
    here.operator()
    here.apply(pipeline(), tenant(), HANDBOOK)
    said = here.wait_condition("ragpipeline", "support", "Ready", "SecretNotFound")
    assert "spec.database.secretRef" in said["message"]
    assert f"{here.namespace}/db" in said["message"]
    assert here.wait_condition("ragtenant", "acme", "Ready", "PipelineNotReady")
    here.apply(here.database_secret(database))
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected", 180)
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected", 180)


def test_a_secret_without_the_key_names_the_key(here: World, database: str) -> None:
    here.operator()
    secret = here.database_secret(database)
    del secret["stringData"]["password"]
    here.apply(pipeline(), secret)
    said = here.wait_condition("ragpipeline", "support", "Ready", "SecretInvalid")
    assert "password" in said["message"]
    here.apply(here.database_secret(database))
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected", 180)


def test_a_database_that_goes_away_and_comes_back(here: World, own_server: postgres.Server) -> None:
    here.operator(resync_seconds="3")
    here.apply(pipeline(), tenant(), HANDBOOK, here.database_secret(own_server.dsn()))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    own_server.stop()
    said = here.wait_condition("ragpipeline", "support", "DatabaseReady", "DatabaseUnreachable", 180)
    assert f"127.0.0.1:{own_server.port}/rag" in said["message"]
    own_server.start()
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected", 180)
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected", 180)


def test_a_login_without_createrole_is_told_the_statement(here: World, postgres_server: postgres.Server) -> None:
    here.operator()
    name = f"weak_{here.namespace[-6:].replace('-', '_')}"
    with psycopg.connect(postgres_server.dsn(postgres.SUPERUSER, "postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{postgres.PASSWORD}'")
        admin.execute(f"CREATE DATABASE {name} OWNER {name}")
    with psycopg.connect(postgres_server.dsn(postgres.SUPERUSER, name), autocommit=True) as admin:
        admin.execute("CREATE EXTENSION vector")
    here.apply(pipeline(), here.database_secret(postgres_server.dsn(name, name)))
    said = here.wait_condition("ragpipeline", "support", "DatabaseReady", "MissingPrivilege")
    assert f"ALTER ROLE {name}" in said["message"].replace('"', "")
    with psycopg.connect(postgres_server.dsn(postgres.SUPERUSER, "postgres"), autocommit=True) as admin:
        admin.execute(f"ALTER ROLE {name} CREATEROLE")
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected", 180)


def test_a_source_that_is_missing_is_named_and_the_ingestion_waits_for_it(here: World, database: str) -> None:
    here.operator()
    here.apply(pipeline(), tenant(), here.database_secret(database))
    said = here.wait_condition("ragtenant", "acme", "Ready", "SourceNotFound")
    assert "ConfigMap" in said["message"] and "handbook" in said["message"]
    assert not here.kubectl("get", "jobs", "-o", "name")
    here.apply(HANDBOOK)
    eventually(lambda: here.kubectl("get", "jobs", "-o", "name"), "the first ingestion")


def test_a_tenant_of_a_pipeline_in_another_namespace_is_told_where_it_is(here: World, database: str) -> None:
    here.operator()
    here.apply(tenant(pipeline="nowhere"))
    said = here.wait_condition("ragtenant", "acme", "Ready", "PipelineNotFound")
    assert f"{here.namespace}/nowhere" in said["message"]


def test_a_name_that_another_object_has_is_left_alone_and_named(here: World, database: str) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "support"},
        "spec": {"ports": [{"port": 1234}]},
    }
    here.apply(service)
    here.operator()
    here.apply(pipeline(), here.database_secret(database))
    said = here.wait_condition("ragpipeline", "support", "Ready", "NameTaken")
    assert "Service" in said["message"] and "support" in said["message"]
    assert (here.get("service", "support") or {})["spec"]["ports"][0]["port"] == 1234
    here.kubectl("delete", "service", "support")
    eventually(lambda: here.get("deployment", "support-query"), "heals", 180)


def test_a_secret_under_the_name_of_a_new_tenant_s_is_left_alone_and_named(here: World, database: str) -> None:
    here.operator()
    here.apply(pipeline(), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
    here.apply(secret("acme-api-key", {"theirs": "kept"}))
    here.apply(tenant(suspend=True))
    said = here.wait_condition("ragtenant", "acme", "Ready", "NameTaken")
    assert "Secret" in said["message"] and "acme-api-key exists and is not ours" in said["message"]
    assert here.secret("acme-api-key") == {"theirs": "kept"}
    here.kubectl("delete", "secret", "acme-api-key")
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected", 180)


def test_a_child_of_a_deleted_resource_of_the_same_name_is_waited_for(here: World, database: str) -> None:
    former = {"apiVersion": "rag-operator.dev/v1alpha1", "kind": "RagTenant", "name": "acme", "uid": str(uuid4())}
    meta = {"name": "acme-api-key", "ownerReferences": [former], "finalizers": ["someone.example/slow"]}
    here.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta})
    here.operator()
    here.apply(pipeline(), tenant(), HANDBOOK, here.database_secret(database))
    said = here.wait_condition("ragtenant", "acme", "Ready", "Waiting")
    assert "acme-api-key" in said["message"]
    here.kubectl("patch", "secret", "acme-api-key", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected", COLLECTED)


def test_a_paused_pipeline_says_so_and_is_left_alone(here: World, database: str) -> None:
    here.operator()
    here.apply(pipeline(), here.database_secret(database))
    eventually(lambda: here.get("service", "support"), "the Service")
    here.apply(pipeline(paused=True))
    here.wait_condition("ragpipeline", "support", "Paused", "Paused")
    here.kubectl("delete", "service", "support")
    here.apply(pipeline(paused=True, scaling={"replicas": 5}))
    observed(here, "ragpipeline", "support", "Paused")
    here.wait_condition("ragpipeline", "support", "Paused", "Paused")
    assert not here.get("service", "support")
    here.apply(pipeline(scaling={"replicas": 5}))
    eventually(lambda: here.get("service", "support"), "the Service comes back")
    here.wait_condition("ragpipeline", "support", "Paused", "NotPaused")


def test_a_tenant_of_a_paused_pipeline_is_left_alone_and_can_be_deleted_after_a_restart(
    here: World, database: str
) -> None:
    first = here.operator()
    here.apply(pipeline(), tenant(), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    here.apply(pipeline(paused=True))
    here.wait_condition("ragpipeline", "support", "Paused", "Paused")
    first.stop()
    second = here.operator(resync_seconds="2")
    here.kubectl("delete", "cronjob", "acme-ingest")
    here.apply(tenant(displayName="Acme"))
    looks(second)
    looks(second, kind="tenant")
    assert not here.get("cronjob", "acme-ingest")
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    assert not here.get("cronjob", "acme-ingest")
