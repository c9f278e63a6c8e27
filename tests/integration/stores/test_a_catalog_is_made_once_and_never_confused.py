"""DATA §7: a pipeline finds its own catalog, and writes to no other."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import psycopg
import pytest

from rag_operator.api.conditions import Reason
from rag_operator.stores.catalog import ensure_catalog
from rag_operator.stores.database import Databases
from rag_operator.stores.errors import StoreProblem
from rag_operator.stores.tenants import ensure_tenant
from rag_runtime.contract.names import CatalogNames
from tests.integration.stores.world import (
    World,
    address_of,
    catalog_request,
    read_tenants,
    request_for,
    snapshot,
    until,
)
from tests.support.postgres import ADMIN, PASSWORD, SUPERUSER, Server


async def test_the_same_pipeline_gets_the_same_catalog_also_before_its_status_was_written(world: World) -> None:
    before = snapshot(world)
    again = await ensure_catalog(world.databases, world.address, catalog_request())
    named = await ensure_catalog(world.databases, world.address, catalog_request(expected=world.catalog.catalog))
    assert again == named == world.catalog
    assert snapshot(world) == before


async def test_two_operators_at_once_make_one_catalog(
    databases: Databases, database: str, postgres_server: Server
) -> None:
    superuser = postgres_server.dsn(SUPERUSER, address_of(database).dbname)
    with psycopg.connect(superuser) as admin, psycopg.connect(superuser, autocommit=True) as looking:
        admin.execute("LOCK pg_namespace IN SHARE MODE")
        async with Databases("two") as others, asyncio.TaskGroup() as group:
            made = [
                group.create_task(ensure_catalog(each, address_of(database), catalog_request()))
                for each in (databases, others)
            ]
            await until(lambda: _blocked(looking) == len(made))
            admin.rollback()
    assert made[0].result() == made[1].result()


def _blocked(looking: psycopg.Connection) -> int:
    """Of the operators: both have looked by now, and neither has made anything."""
    waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return looking.execute(waiting.encode()).rowcount


async def test_two_pipelines_share_a_database_without_knowing(world: World) -> None:
    other = await ensure_catalog(
        world.databases, world.address, catalog_request(pipeline="rag/sales", pipeline_uid="uid-9")
    )
    assert other != world.catalog
    assert await ensure_catalog(world.databases, world.address, catalog_request()) == world.catalog


async def test_an_earlier_pipeline_of_the_name_keeps_its_catalog_and_the_sentence_says_how_to_adopt_it(
    world: World,
) -> None:
    before = snapshot(world)
    with pytest.raises(StoreProblem) as refused:
        await ensure_catalog(world.databases, world.address, catalog_request(pipeline_uid="uid-2"))
    assert refused.value.reason is Reason.CATALOG_MISMATCH
    assert f"spec.database.adopt: {world.catalog.catalog}" in str(refused.value)
    assert snapshot(world) == before


async def test_adoption_takes_the_catalog_and_its_live_tenants_in_one_step(world: World) -> None:
    row = await world.add("acme")
    rebuilt = catalog_request(pipeline_uid="uid-2", adopt=world.catalog.catalog)
    assert await ensure_catalog(world.databases, world.address, rebuilt) == world.catalog
    assert world.value(f"SELECT pipeline_uid FROM {world.catalog.schema}.instance") == "uid-2"
    async with world.tx() as tx:
        bound = await ensure_tenant(tx, request_for("acme", uid="uid-in-the-new-cluster"))
    assert (bound.id, bound.uid) == (row.id, "uid-in-the-new-cluster")
    # the former pipeline, should it live somewhere, is locked out
    with pytest.raises(StoreProblem) as refused:
        await ensure_catalog(world.databases, world.address, catalog_request(expected=world.catalog.catalog))
    assert refused.value.reason is Reason.CATALOG_MISMATCH


async def test_adoption_changes_nothing_when_the_catalog_is_ours_already(world: World) -> None:
    await world.add("acme")
    await ensure_catalog(world.databases, world.address, catalog_request(adopt=world.catalog.catalog))
    async with world.tx() as tx:
        assert [row.uid for row in await read_tenants(tx)] == ["uid-of-acme"]


@pytest.mark.parametrize("field", ["expected", "adopt"])
async def test_a_database_without_the_named_catalog_is_not_written_to(
    databases: Databases, database: str, field: str
) -> None:
    with pytest.raises(StoreProblem) as refused:
        await ensure_catalog(databases, address_of(database), catalog_request(**{field: uuid4()}))
    assert refused.value.reason is Reason.CATALOG_MISMATCH
    assert "holds: none" in str(refused.value)
    with psycopg.connect(database) as admin:
        assert admin.execute("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'rag\\_%'").fetchone() == (0,)


async def test_a_role_of_somebody_else_is_refused_and_one_with_our_mark_is_taken(
    postgres_server: Server, databases: Databases, database: str
) -> None:
    request = catalog_request()
    names = CatalogNames(request.fresh)
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {names.owner} NOLOGIN")
        with pytest.raises(StoreProblem) as refused:
            await ensure_catalog(databases, address_of(database), request)
        assert refused.value.reason is Reason.ROLE_TAKEN
        assert names.owner in str(refused.value)
        assert admin.execute("SELECT to_regnamespace(%s)", [names.schema]).fetchone() == (None,)
        admin.execute(f"COMMENT ON ROLE {names.owner} IS '{names.mark}'")
    assert await ensure_catalog(databases, address_of(database), request) == names


async def test_a_schema_that_only_looks_like_a_catalog_is_passed_over(databases: Databases, database: str) -> None:
    fake = uuid4()
    schema = CatalogNames(fake).schema
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(f"CREATE SCHEMA {schema}")
        admin.execute(
            f"CREATE TABLE {schema}.instance (catalog_id uuid, pipeline text, pipeline_uid text, schema_version int)"
        )
        admin.execute(f"INSERT INTO {schema}.instance VALUES ('{fake}', 'rag/support', 'uid-1', 1)")
    made = await ensure_catalog(databases, address_of(database), catalog_request())
    assert made.catalog != fake


async def test_a_catalog_of_a_newer_operator_is_left_alone(world: World) -> None:
    world.run(f"UPDATE {world.catalog.schema}.instance SET schema_version = 99")
    with pytest.raises(StoreProblem, match="upgrade the operator"):
        await ensure_catalog(world.databases, world.address, catalog_request())


async def test_the_owner_can_neither_log_in_nor_make_roles_nor_schemas(world: World) -> None:
    with world.connect() as admin:
        row = admin.execute(
            "SELECT rolcanlogin, rolcreaterole, rolsuper, rolcreatedb,"
            " has_database_privilege(oid, current_database(), 'CREATE') FROM pg_roles WHERE rolname = %s",
            [world.catalog.owner],
        ).fetchone()
    assert row == (False,) * 5


@pytest.mark.parametrize("related", [False, True])
async def test_another_login_of_the_operator_is_told_which_grant_it_lacks(world: World, related: bool) -> None:
    login = f"second_{related}_{world.address.dbname}".lower()
    world.run(f"CREATE ROLE {login} LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
    if related:
        world.run(f"GRANT {ADMIN} TO {login} WITH INHERIT FALSE")
    second = address_of(world.server.dsn(login, world.address.dbname))
    with pytest.raises(StoreProblem) as refused:
        await ensure_catalog(world.databases, second, catalog_request(expected=world.catalog.catalog))
    assert refused.value.reason is Reason.MISSING_PRIVILEGE
    assert f'GRANT {world.catalog.owner} TO "{login}"' in str(refused.value)
    world.run(f'GRANT {world.catalog.owner} TO "{login}" WITH INHERIT TRUE, SET TRUE')
    found = await ensure_catalog(world.databases, second, catalog_request(expected=world.catalog.catalog))
    assert found == world.catalog


async def test_nobody_makes_temporary_tables_and_everybody_connects(world: World) -> None:
    with world.connect() as admin:
        admin.execute(f"CREATE ROLE anybody_{world.address.dbname}")
        rights = admin.execute(
            "SELECT has_database_privilege(r, current_database(), 'CONNECT'),"
            " has_database_privilege(r, current_database(), 'TEMPORARY')"
            " FROM (VALUES (%s)) v (r)",
            [f"anybody_{world.address.dbname}"],
        ).fetchone()
    assert rights == (True, False)
