"""DATA §2: what a login may do is decided by Postgres, whatever SQL it sends."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from rag_operator.api.conditions import Reason
from rag_operator.stores.errors import StoreProblem
from rag_operator.stores.promotion import promote
from rag_operator.stores.tenants import TenantRow, ensure_tenant
from rag_runtime.contract.names import TenantNames
from tests.integration.stores.world import (
    INGEST_PASSWORD,
    QUERY_PASSWORD,
    Ingestion,
    World,
    read_as,
    request_for,
)


async def two_tenants(world: World) -> tuple[TenantRow, TenantRow]:
    """Both with one document, indexed and serving."""
    rows = []
    for name in ("acme", "umbrella"):
        row = await world.add(name)
        with Ingestion(world, row) as job:
            job.sync(f"secret of {name}")
            revision = job.build()
        async with world.tx() as tx:
            assert (await promote(tx, row.id, revision, None)).promoted
        rows.append(row)
    return rows[0], rows[1]


async def test_a_reader_sees_its_tenants_passages_and_no_others(world: World) -> None:
    acme, umbrella = await two_tenants(world)
    mine = f"SELECT text FROM {acme.schema}.chunk_r1_v"
    assert read_as(world, acme.reader, acme.id, mine) == [("text of secret of acme",)]
    # the settings of another tenant show nothing, the role of another tenant may not even ask
    assert read_as(world, acme.reader, umbrella.id, mine) == []
    with pytest.raises(errors.InsufficientPrivilege):
        read_as(world, acme.reader, umbrella.id, f"SELECT text FROM {umbrella.schema}.chunk_r1_v")
    with pytest.raises(errors.InsufficientPrivilege):
        read_as(world, acme.reader, acme.id, f"SELECT text FROM {acme.schema}.chunk_r1")


async def test_a_query_login_outside_of_a_reader_reads_no_tenant(world: World) -> None:
    acme, _ = await two_tenants(world)
    with world.connect(world.catalog.query_login(0), QUERY_PASSWORD) as login:
        assert login.execute(f"SELECT count(*) FROM {world.catalog.schema}.tenant").fetchone() == (2,)
        for table in ("chunk_r1_v", "chunk_r1", "document"):
            with pytest.raises(errors.InsufficientPrivilege):
                login.execute(f"SELECT * FROM {acme.schema}.{table}")
        with pytest.raises(errors.InsufficientPrivilege):
            login.execute(f"UPDATE {world.catalog.schema}.pointer SET active = 9")


FORBIDDEN = (
    "SELECT * FROM {other}.document",
    "SELECT * FROM {other}.chunk_r1",
    "SELECT * FROM {c}.tenant",
    "SELECT * FROM {c}.pointer",
    "SELECT {c}.bump('{id}')",
    "SET ROLE {reader}",
    "SET ROLE {owner}",
    "CREATE TABLE {own}.mine (a int)",
    "CREATE TEMP TABLE mine (a int)",
    "CREATE SCHEMA mine",
    "ALTER TABLE {own}.chunk_r1 DISABLE TRIGGER ALL",
    "CREATE TRIGGER t BEFORE INSERT ON {own}.document FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger()",
    "GRANT SELECT ON {own}.document TO PUBLIC",
    "UPDATE {own}.revision SET state = 'Active'",
    "DROP SCHEMA {own} CASCADE",
)


async def test_an_ingestion_login_does_its_own_work_and_nothing_else(world: World) -> None:
    acme, umbrella = await two_tenants(world)
    places = {
        "own": acme.schema,
        "other": umbrella.schema,
        "c": world.catalog.schema,
        "id": umbrella.id,
        "reader": umbrella.reader,
        "owner": world.catalog.owner,
    }
    with world.connect(acme.ingestion, INGEST_PASSWORD) as job:
        for statement in FORBIDDEN:
            try:
                job.execute(statement.format(**places))
            except errors.InsufficientPrivilege:
                continue
            # GRANT without the right only warns
            assert statement.startswith("GRANT"), f"was allowed: {statement}"
    assert world.value(f"SELECT has_table_privilege('public', '{acme.schema}.document', 'SELECT')") is False


async def test_dead_letters_of_another_tenant_are_invisible(world: World) -> None:
    acme, umbrella = await two_tenants(world)
    letter = (
        f"INSERT INTO {world.catalog.schema}.dead_letter (tenant, source, path, step, reason, message)"
        " VALUES (%s, 's', 'p', 'Sync', 'r', 'm')"
    )
    with world.connect(acme.ingestion, INGEST_PASSWORD) as job:
        job.execute(letter, [acme.id])
        with pytest.raises(errors.InsufficientPrivilege):
            job.execute(letter, [umbrella.id])
    with world.connect(umbrella.ingestion, INGEST_PASSWORD) as job:
        assert job.execute(f"SELECT count(*) FROM {world.catalog.schema}.dead_letter").fetchone() == (0,)


async def test_a_tenants_role_of_somebody_else_is_refused(world: World) -> None:
    request = request_for("acme")
    names = TenantNames(world.catalog, request.incarnation, "acme")
    world.run(f"CREATE ROLE {names.ingestion} LOGIN PASSWORD 'theirs'")
    with pytest.raises(StoreProblem) as refused:
        async with world.tx() as tx:
            await ensure_tenant(tx, request)
    assert refused.value.reason is Reason.ROLE_TAKEN
    assert names.ingestion in str(refused.value)
    assert world.value(f"SELECT count(*) FROM {world.catalog.schema}.tenant") == 0
    psycopg.connect(world.server.dsn(names.ingestion, world.address.dbname, "theirs")).close()


async def test_ingestion_has_few_connections(world: World) -> None:
    row = await world.add("acme")
    assert world.value("SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", row.ingestion) == 8
