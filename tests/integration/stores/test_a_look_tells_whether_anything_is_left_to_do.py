"""A5, G2: most looks at a tenant read once and find nothing to do; whatever is missing or other, they see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from rag_operator.api.conditions import Reason
from rag_operator.stores.errors import StoreProblem
from rag_operator.stores.sight import Sight, look
from rag_operator.stores.tenants import TenantRequest, ensure_tenant, read_tenant, stands
from rag_runtime.contract.migrations import TENANT_STEPS, Step
from rag_runtime.contract.tenant import TENANT_VERSION
from tests.integration.stores.world import Ingestion, World, request_for

pytestmark = pytest.mark.integration
STEPS = (Step(TENANT_VERSION + 1, "SELECT 1"),)


async def seen(world: World, steps: Sequence[Step] = TENANT_STEPS) -> Sight:
    async with world.tx() as tx:
        row = await read_tenant(tx, "rag", "acme")
        assert row is not None
        return await look(tx, row, steps)


async def nothing_is_left(world: World, request: TenantRequest) -> bool:
    sight = await seen(world)
    return stands(sight.row, sight.roles, world.catalog.mark, request)


@pytest.fixture
async def wanted(world: World) -> TenantRequest:
    request = request_for("acme")
    async with world.tx() as tx:
        await ensure_tenant(tx, request)
    assert await nothing_is_left(world, request)
    return request


@pytest.mark.parametrize(
    "damage",
    [
        "DROP SCHEMA {schema} CASCADE",
        "ALTER ROLE {ingestion} NOLOGIN",
        "DROP OWNED BY {reader}; DROP ROLE {reader}",
        "UPDATE {c}.pointer SET open = false",
        "DELETE FROM {c}.pointer",
        "UPDATE {c}.tenant SET state = 'Deactivated'",
    ],
)
async def test_what_another_hand_took_away_is_left_to_do(world: World, wanted: TenantRequest, damage: str) -> None:
    row = (await seen(world)).row
    names = {"schema": row.schema, "ingestion": row.ingestion, "reader": row.reader, "c": world.catalog.schema}
    world.run(*damage.format(**names).split("; "))
    assert not await nothing_is_left(world, wanted)
    async with world.tx() as tx:
        await ensure_tenant(tx, wanted)
    assert await nothing_is_left(world, wanted)


@pytest.mark.parametrize(
    "change",
    [{"api_key_hashes": ("another",)}, {"credential_version": "2"}, {"config": {"topK": 7}}],
    ids=lambda change: next(iter(change)),
)
async def test_what_is_asked_for_anew_is_left_to_do(
    world: World, wanted: TenantRequest, change: dict[str, Any]
) -> None:
    assert not await nothing_is_left(world, replace(wanted, **change))


async def test_what_would_be_refused_is_refused_at_the_look(world: World, wanted: TenantRequest) -> None:
    with pytest.raises(StoreProblem) as refused:
        await nothing_is_left(world, replace(wanted, uid="of-another"))
    assert refused.value.reason is Reason.RETAINED_DATA
    world.run(f"UPDATE {world.catalog.schema}.tenant SET schema_version = 1000")
    with pytest.raises(StoreProblem) as newer:
        await nothing_is_left(world, wanted)
    assert newer.value.reason is Reason.DATABASE_UNSUITABLE


async def test_a_role_without_our_mark_is_no_role_of_ours(world: World, wanted: TenantRequest) -> None:
    row = (await seen(world)).row
    world.run(f"COMMENT ON ROLE {row.reader} IS 'of another'")
    assert not await nothing_is_left(world, wanted)


async def test_it_sees_revisions_and_the_pods_that_read_them(world: World, wanted: TenantRequest) -> None:
    world.lease("one", pinned=0)
    with Ingestion(world, (await seen(world)).row) as job:
        job.sync("a")
        built = job.build()
    sight = await seen(world)
    assert [(revision.number, revision.state) for revision in sight.revisions] == [(built, "Ready")]
    assert [lease.pod for lease in sight.leases] == ["one"]


async def test_a_schema_of_before_a_step_is_left_to_do_and_its_tables_are_not_read(
    world: World, wanted: TenantRequest
) -> None:
    with Ingestion(world, (await seen(world)).row) as job:
        job.revision()
    assert (await seen(world)).revisions
    sight = await seen(world, STEPS)
    assert sight.revisions == ()
    assert not stands(sight.row, sight.roles, world.catalog.mark, wanted, STEPS)


async def test_a_schema_that_is_gone_is_not_read(world: World, wanted: TenantRequest) -> None:
    world.run(f"DROP SCHEMA {(await seen(world)).row.schema} CASCADE")
    assert (await seen(world)).revisions == ()
