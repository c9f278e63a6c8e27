"""DATA §4: runs end, live pods move on, then the tables go; never those that serve."""

from __future__ import annotations

import time

import psycopg
import pytest

from rag_operator.stores.erasure import LOCK_TIMEOUT
from rag_operator.stores.errors import StoreTrouble
from rag_operator.stores.leases import read_leases
from rag_operator.stores.promotion import Refusal, Retirement, promote, retire, revisions
from rag_operator.stores.tenants import TenantRow
from tests.integration.stores.world import Ingestion, World, writes_nothing


async def step(world: World, row: TenantRow, revision: int) -> Retirement:
    """One step in a transaction of its own."""
    async with world.tx() as tx:
        return await retire(tx, row.id, revision)


@pytest.fixture
async def swapped(world: World) -> tuple[TenantRow, int, int]:
    """A tenant whose second revision has replaced the first: promotion number 2."""
    row = await world.add("acme")
    with Ingestion(world, row) as job:
        job.sync("a", "b")
        first, second = job.build("one"), job.build("two")
    async with world.tx() as tx:
        assert (await promote(tx, row.id, first, None)).promoted
    async with world.tx() as tx:
        assert (await promote(tx, row.id, second, first)).promoted
    return row, first, second


async def test_it_waits_for_every_live_pod_and_for_no_dead_one(
    world: World, swapped: tuple[TenantRow, int, int]
) -> None:
    row, first, second = swapped
    world.lease("slow", pinned=1)
    world.lease("quick", pinned=2)
    world.lease("dead", pinned=0, seconds=-5)
    async with world.tx() as tx:
        assert [(lease.pod, lease.live, lease.pinned) for lease in await read_leases(tx)] == [
            ("dead", False, 0),
            ("quick", True, 2),
            ("slow", True, 1),
        ]
    assert (await step(world, row, first)).refusal is Refusal.BEGUN
    assert await step(world, row, first) == Retirement(Refusal.STILL_READ, ("slow",))
    assert await writes_nothing(world, lambda: step(world, row, first))
    world.lease("slow", pinned=2)
    assert (await step(world, row, first)).retired
    assert (await step(world, row, first)).retired
    tables = f"SELECT count(*) FROM pg_class WHERE relnamespace = '{row.schema}'::regnamespace AND relname ~ '_r%s'"
    assert world.value(tables % first) == 0
    assert world.value(tables % second) > 0
    async with world.tx() as tx:
        assert [revision.state for revision in await revisions(tx, row.schema)] == ["Retired", "Active"]


async def test_the_active_revision_is_never_retired(world: World, swapped: tuple[TenantRow, int, int]) -> None:
    row, _, second = swapped
    assert (await step(world, row, second)).refusal is Refusal.REVISION_ACTIVE
    assert (await step(world, row, 9)).refusal is Refusal.REVISION_UNKNOWN


async def test_a_retiring_revision_takes_no_batch_and_is_not_promoted(
    world: World, swapped: tuple[TenantRow, int, int]
) -> None:
    row, first, second = swapped
    with Ingestion(world, row) as job:
        job.sync("c")
        job.runs[first] = job.call("SELECT epoch FROM {s}.run WHERE step = 'Index' AND revision = %s", first)
        job.marks[first] = 2
        assert (await step(world, row, first)).refusal is Refusal.BEGUN
        with pytest.raises(psycopg.DatabaseError) as refused:
            job.index(first)
        assert refused.value.diag.sqlstate == "RG001"
        # also one that takes the lease anew
        job.runs[first] = job.call("SELECT epoch FROM {c}.take('Index', %s, 0, 'next', '1 min')", first)
        with pytest.raises(psycopg.DatabaseError) as refused:
            job.index(first)
        assert refused.value.diag.sqlstate == "RG001"
    async with world.tx() as tx:
        assert (await promote(tx, row.id, first, second, 9)).refusal is Refusal.REVISION_NOT_READY
    # the same shape again is a new revision, not the retiring one
    with Ingestion(world, row) as job:
        job.fence = job.call("SELECT fence FROM {c}.self()")
        assert job.revision("one") == 3


async def test_a_job_of_a_retiring_revision_has_lost_its_lease(
    world: World, swapped: tuple[TenantRow, int, int]
) -> None:
    row, first, _ = swapped
    with Ingestion(world, row) as job:
        epoch = job.call("SELECT epoch FROM {c}.take('Index', %s, 0, 'index', '1 min')", first)
        job.call("SELECT {c}.keep('Index', %s, 0, %s, '1 min')", first, epoch)
        assert (await step(world, row, first)).refusal is Refusal.BEGUN
        with pytest.raises(psycopg.DatabaseError) as refused:
            job.call("SELECT {c}.keep('Index', %s, 0, %s, '1 min')", first, epoch)
        assert refused.value.diag.sqlstate == "RG001"


async def test_deletes_go_on_while_a_revision_retires(world: World, swapped: tuple[TenantRow, int, int]) -> None:
    row, first, second = swapped
    await step(world, row, first)
    assert (await step(world, row, first)).retired
    with Ingestion(world, row) as job:
        ids = job.sync("c")
        job.delete(ids[0] - 1)
    assert world.value(f"SELECT count(*) FROM {row.schema}.chunk_r{second}") == 1


async def test_a_long_query_delays_dropping_but_nobody_else(world: World, swapped: tuple[TenantRow, int, int]) -> None:
    row, first, _ = swapped
    await step(world, row, first)
    with world.connect() as reader, reader.transaction():
        reader.execute(f"SELECT * FROM {row.schema}.chunk_r{first}")
        began = time.monotonic()
        with pytest.raises(StoreTrouble, match="lock timeout"):
            await step(world, row, first)
        assert time.monotonic() - began < 4 * LOCK_TIMEOUT
    assert (await step(world, row, first)).retired
