"""Every write of the stores may be cut off after any statement; the next run ends where an uncut one would."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import psycopg

from rag_operator.stores.catalog import ensure_catalog
from rag_operator.stores.database import Databases
from rag_operator.stores.errors import StoreTrouble
from rag_operator.stores.promotion import promote, retire
from rag_operator.stores.query_logins import ensure_query_logins
from rag_operator.stores.tenants import deactivate, ensure_tenant, erase, prove_erased, read_tenant, retain
from tests.integration.stores.world import (
    Crash,
    CrashError,
    Ingestion,
    World,
    address_of,
    catalog_request,
    request_for,
    snapshot,
)

TENANT = UUID("11111111-2222-4333-8444-555555555555")


async def crashes(crash_after: Crash, step: Callable[[], Awaitable[object]], at_least: int) -> int:
    """Run `step` cut off after 0, 1, 2 … statements until it gets through; returns how often it was cut."""
    cut = 0
    while True:
        crash_after(cut)
        try:
            await step()
        except (CrashError, StoreTrouble, psycopg.OperationalError):
            cut += 1
            continue
        finally:
            crash_after(None)
        assert cut >= at_least, "the fault was never injected: is the statement run otherwise?"
        return cut


async def test_making_a_catalog(crash_after: Crash, databases: Databases, database: str) -> None:
    address = address_of(database)
    made: list[object] = []

    async def make() -> None:
        made.append(await ensure_catalog(databases, address, catalog_request()))

    await crashes(crash_after, make, 10)
    assert await ensure_catalog(databases, address, catalog_request()) == made[0]
    with psycopg.connect(database) as admin:
        assert admin.execute("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^rag_'").fetchone() == (1,)


async def test_making_a_query_login(crash_after: Crash, world: World) -> None:
    async def make() -> None:
        async with world.tx() as tx:
            await ensure_query_logins(tx, {1: "another-password"}, "1")

    await crashes(crash_after, make, 5)
    with world.connect(world.catalog.query_login(1), "another-password") as login:
        assert login.execute(f"SELECT count(*) FROM {world.catalog.schema}.tenant").fetchone() == (0,)


async def test_taking_in_a_tenant(crash_after: Crash, world: World) -> None:
    request = request_for("acme", incarnation=TENANT)

    async def make() -> None:
        async with world.tx() as tx:
            await ensure_tenant(tx, request)

    await crashes(crash_after, make, 9)
    cut = snapshot(world)
    async with world.tx() as tx:
        await deactivate(tx, "rag", "acme")
    async with world.tx() as tx:
        await erase(tx, "rag", "acme")
    await make()
    assert snapshot(world) == cut


async def test_rotating_its_password(crash_after: Crash, world: World) -> None:
    await world.add("acme", incarnation=TENANT)

    async def rotate() -> None:
        async with world.tx() as tx:
            await ensure_tenant(tx, request_for("acme", password="a-new-password", credential_version="2"))

    await crashes(crash_after, rotate, 5)
    async with world.tx() as tx:
        row = await read_tenant(tx, "rag", "acme")
    assert row is not None
    world.connect(row.ingestion, "a-new-password").close()


async def test_keeping_and_erasing_a_tenant(crash_after: Crash, world: World) -> None:
    row = await world.add("acme", incarnation=TENANT)

    async def step(action: Callable[..., Awaitable[object]]) -> None:
        async with world.tx() as tx:
            await action(tx, "rag", "acme")

    await crashes(crash_after, lambda: step(deactivate), 4)
    await crashes(crash_after, lambda: step(retain), 3)
    with Ingestion(world, await world.add("other")) as other:
        other.sync("kept")
    await crashes(crash_after, lambda: step(erase), 6)
    async with world.tx() as tx:
        assert await prove_erased(tx, row.id.hex) == []
        assert await read_tenant(tx, "rag", "other") is not None


async def test_promoting_and_retiring(crash_after: Crash, world: World) -> None:
    row = await world.add("acme", incarnation=TENANT)
    with Ingestion(world, row) as job:
        job.sync("a", "b")
        first, second = job.build("one"), job.build("two")

    async def move(revision: int, expected: int | None) -> None:
        async with world.tx() as tx:
            result = await promote(tx, TENANT, revision, expected)
        assert result.promoted

    async def drop() -> None:
        while True:
            async with world.tx() as tx:
                if (await retire(tx, TENANT, first)).retired:
                    return

    await crashes(crash_after, lambda: move(first, None), 8)
    await crashes(crash_after, lambda: move(second, first), 8)
    await crashes(crash_after, drop, 8)
    c, s = world.catalog.schema, row.schema
    assert world.value(f"SELECT active FROM {c}.pointer") == second
    assert world.value(f"SELECT number FROM {c}.promotion") == 2
    assert world.value(f"SELECT string_agg(state, ' ' ORDER BY number) FROM {s}.revision") == "Retired Active"
    assert (
        world.value(f"SELECT count(*) FROM pg_class WHERE relnamespace = '{s}'::regnamespace AND relname ~ '_r{first}'")
        == 0
    )
