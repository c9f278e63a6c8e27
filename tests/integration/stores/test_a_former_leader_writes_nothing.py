"""The leader epoch (DATA §4): what a former leader sends late is refused, and its sessions end."""

from __future__ import annotations

import asyncio

import pytest

from rag_operator.stores.database import Databases, application_name
from rag_operator.stores.errors import StoreTrouble, Superseded
from rag_operator.stores.tenants import ensure_tenant
from tests.integration.stores.world import World, read_tenants, request_for, until, until_blocked


async def test_each_leader_has_an_epoch_of_its_own(world: World) -> None:
    async with Databases("two") as others:
        epoch = await others.take_leadership(world.address, world.catalog)
        assert epoch == world.epoch + 1
        with pytest.raises(Superseded):
            async with world.tx():
                raise AssertionError("a former leader got a transaction")
        async with others.transaction(world.address, world.catalog, epoch) as tx:
            assert await read_tenants(tx) == []
    assert world.value(f"SELECT holder FROM {world.catalog.schema}.leader") == "two"


async def test_a_leader_frozen_in_a_transaction_loses_its_session(world: World) -> None:
    async with Databases("two") as others:
        with pytest.raises(StoreTrouble):
            async with world.tx() as frozen:
                await ensure_tenant(frozen, request_for("acme"))
                await others.take_leadership(world.address, world.catalog)
    assert world.value(f"SELECT count(*) FROM {world.catalog.schema}.tenant") == 0


async def test_a_leader_that_looked_but_did_not_write_yet_is_stopped_at_its_first_write(world: World) -> None:
    """Its session survives here, as it belongs to another holder's name: the epoch alone must stop it."""
    world.run(f"UPDATE {world.catalog.schema}.leader SET holder = ''")
    async with Databases("two") as others:
        with pytest.raises(Superseded):
            async with world.tx() as frozen:
                assert await read_tenants(frozen) == []
                await others.take_leadership(world.address, world.catalog)
                await ensure_tenant(frozen, request_for("acme"))
    assert world.value(f"SELECT count(*) FROM {world.catalog.schema}.tenant") == 0


async def test_a_new_leader_waits_for_a_write_that_it_could_not_end(world: World) -> None:
    world.run(f"UPDATE {world.catalog.schema}.leader SET holder = ''")
    async with Databases("two") as others:
        async with world.tx() as last:
            await ensure_tenant(last, request_for("acme"))
            taking = asyncio.create_task(others.take_leadership(world.address, world.catalog))
            await until_blocked(world)
        epoch = await taking
        async with others.transaction(world.address, world.catalog, epoch) as tx:
            assert [row.name for row in await read_tenants(tx)] == ["acme"]


async def test_only_the_former_holders_sessions_are_ended(world: World) -> None:
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"
    async with Databases("another installation") as neighbours, Databases("two") as others:
        async with neighbours.session(world.address):
            pass
        assert world.value(sessions, application_name("one")) >= 1
        await others.take_leadership(world.address, world.catalog)
        await until(lambda: world.value(sessions, application_name("one")) == 0)
        assert world.value(sessions, application_name("another installation")) == 1


async def test_a_holder_with_a_long_name_has_a_short_one_in_postgres() -> None:
    assert application_name("pod-1") == "rag-operator pod-1"
    long = application_name("rag-operator-7d9f8b6c5d-abcde_0b8e7a3e-7f1c-4f6e-9f59-1f1f4f6d2c11")
    assert len(long) <= 63
    assert long != application_name("rag-operator-7d9f8b6c5d-abcde_0b8e7a3e-7f1c-4f6e-9f59-1f1f4f6d2c12")
