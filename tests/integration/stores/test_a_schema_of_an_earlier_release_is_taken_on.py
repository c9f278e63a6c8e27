"""DATA §8: migrations are lazy, bounded, resumable, under the leader epoch; the release before reads what they leave.

There is one schema version yet, so the steps are this test's own, run by the operator's code on a real schema.
"""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest
from prometheus_client import REGISTRY

from rag_operator.api.conditions import Reason
from rag_operator.stores.catalog import ensure_catalog
from rag_operator.stores.errors import StoreProblem, StoreTrouble, Superseded
from rag_operator.stores.migrate import migrate_catalog
from rag_operator.stores.tenants import ensure_tenant, is_behind
from rag_runtime.contract.catalog import CATALOG_VERSION
from rag_runtime.contract.migrations import Step
from rag_runtime.contract.tenant import TENANT_VERSION
from tests.integration.stores.world import Crash, CrashError, Ingestion, World, catalog_request, request_for

TENANT = UUID("11111111-2222-4333-8444-555555555555")
NEXT = TENANT_VERSION + 1
BATCH = 2
STEPS = (
    Step(
        NEXT,
        "ALTER TABLE {s}.document ADD COLUMN IF NOT EXISTS language text;"
        " GRANT SELECT (language) ON {s}.document TO {login};",
        "UPDATE {s}.document SET language = 'en' WHERE id IN"
        f" (SELECT id FROM {{s}}.document WHERE language IS NULL ORDER BY id LIMIT {BATCH})",
    ),
    Step(NEXT + 1, "CREATE TABLE IF NOT EXISTS {s}.note (document bigint PRIMARY KEY)"),
)
CATALOG_STEPS = (
    Step(
        CATALOG_VERSION + 1,
        "ALTER TABLE {c}.tenant ADD COLUMN IF NOT EXISTS region text",
        "UPDATE {c}.tenant SET region = 'eu' WHERE id = (SELECT id FROM {c}.tenant WHERE region IS NULL LIMIT 1)",
    ),
)


async def _once(world: World) -> bool:
    """One transaction; whether more are needed."""
    async with world.tx() as tx:
        return is_behind(await ensure_tenant(tx, request_for("acme", incarnation=TENANT), STEPS), STEPS)


async def _laid(world: World, documents: int) -> str:
    row = await world.add("acme", incarnation=TENANT)
    with Ingestion(world, row) as job:
        job.sync(*(f"page-{i}" for i in range(documents)))
    return row.schema


def _version(world: World) -> int:
    return int(world.value(f"SELECT schema_version FROM {world.catalog.schema}.tenant"))


def _filled(world: World, schema: str) -> int:
    return int(world.value(f"SELECT count(language) FROM {schema}.document"))


async def test_each_transaction_fills_a_bounded_number_of_rows_and_the_last_raises_the_version(world: World) -> None:
    schema = await _laid(world, 5)
    seen = []
    while await _once(world):
        seen.append((_filled(world, schema), _version(world)))
    assert seen == [(2, NEXT - 1), (4, NEXT - 1), (5, NEXT - 1), (5, NEXT)]
    assert _version(world) == NEXT + 1
    assert world.value("SELECT to_regclass(%s) IS NOT NULL", f"{schema}.note")


async def test_a_run_with_nothing_to_take_on_writes_nothing(world: World) -> None:
    await _laid(world, 1)
    while await _once(world):
        pass
    before = world.value(f"SELECT xmin::text FROM {world.catalog.schema}.tenant")
    assert not await _once(world)
    assert world.value(f"SELECT xmin::text FROM {world.catalog.schema}.tenant") == before


async def test_whoever_dies_anywhere_in_it_leaves_what_the_next_goes_on_from(crash_after: Crash, world: World) -> None:
    schema = await _laid(world, 5)
    cuts, statements, again = 0, 0, True
    while again:
        crash_after(statements)
        try:
            again = await _once(world)
        except (CrashError, StoreTrouble, psycopg.OperationalError):
            cuts, statements = cuts + 1, statements + 1
        else:
            statements = 0  # the next transaction is cut from its beginning on
        finally:
            crash_after(None)
    assert cuts > 20, "the fault was never injected"
    assert (_version(world), _filled(world, schema)) == (NEXT + 1, 5)


async def test_the_release_before_goes_on_writing_in_the_midst_of_it(world: World) -> None:
    schema = await _laid(world, 5)
    assert await _once(world)
    row = await world.add("acme", incarnation=TENANT)
    with Ingestion(world, row) as job:
        job.fence = 0
        job.sync("written-meanwhile")
        revision = job.build()
    assert revision == 1
    while await _once(world):
        pass
    assert _filled(world, schema) == 6


async def test_one_who_leads_no_more_takes_nothing_on(world: World) -> None:
    schema = await _laid(world, 1)
    await world.databases.take_leadership(world.address, world.catalog)
    with pytest.raises(Superseded):
        await _once(world)
    columns = "SELECT count(*) FROM information_schema.columns WHERE table_schema = %s AND column_name = 'language'"
    assert world.value(columns, schema) == 0


async def test_a_new_tenant_has_todays_schema_at_once(world: World) -> None:
    row = await world.add("acme")
    assert row.schema_version == TENANT_VERSION
    assert not is_behind(row)


async def test_the_catalog_is_taken_on_in_the_same_way_and_counted(world: World) -> None:
    for name in ("a", "b"):
        await world.add(name)
    labels = {"schema": "catalog", "version": str(CATALOG_VERSION + 1)}
    before = REGISTRY.get_sample_value("rag_operator_migrations_total", labels) or 0.0
    done, transactions = False, 0
    while not done:
        async with world.tx() as tx:
            done = await migrate_catalog(tx, CATALOG_STEPS)
        transactions += 1
    assert transactions == 3
    assert world.value(f"SELECT schema_version FROM {world.catalog.schema}.instance") == CATALOG_VERSION + 1
    assert world.value(f"SELECT count(region) FROM {world.catalog.schema}.tenant") == 2
    assert REGISTRY.get_sample_value("rag_operator_migrations_total", labels) == before + 1
    async with world.tx() as tx:
        assert await migrate_catalog(tx, CATALOG_STEPS)


async def test_an_upgrade_can_be_rolled_back_by_one_release_and_no_version_is_lowered(world: World) -> None:
    await _laid(world, 1)
    c = world.catalog.schema
    world.run(
        f"UPDATE {c}.tenant SET schema_version = {NEXT}",
        f"UPDATE {c}.instance SET schema_version = {CATALOG_VERSION + 1}",
    )
    assert await ensure_catalog(world.databases, world.address, catalog_request()) == world.catalog
    async with world.tx() as tx:
        assert await migrate_catalog(tx)
        row = await ensure_tenant(tx, request_for("acme", incarnation=TENANT, api_key_hashes=("another",)))
    assert (row.schema_version, row.api_keys) == (NEXT, ("another",))
    assert world.value(f"SELECT schema_version FROM {c}.instance") == CATALOG_VERSION + 1


async def test_a_tenant_of_an_unknown_release_is_left_alone(world: World) -> None:
    await _laid(world, 1)
    world.run(f"UPDATE {world.catalog.schema}.tenant SET schema_version = {NEXT + 1}")
    with pytest.raises(StoreProblem, match="upgrade the operator") as refused:
        await world.add("acme", incarnation=TENANT, api_key_hashes=("another",))
    assert refused.value.reason is Reason.DATABASE_UNSUITABLE
