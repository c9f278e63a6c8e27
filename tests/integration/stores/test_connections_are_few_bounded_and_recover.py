"""One slow or lost database never delays another, and comes back by itself (DESIGN §3)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from rag_operator.api.conditions import Reason
from rag_operator.stores.address import DatabaseAddress
from rag_operator.stores.database import Databases, Limits, application_name
from rag_operator.stores.errors import StoreTrouble
from rag_operator.stores.listen import Lost, Reconnected, listen
from tests.integration.stores.world import World, address_of, new_world, until
from tests.support import postgres


@pytest.fixture
def own_server() -> Iterator[postgres.Server]:
    """A server that a test may stop."""
    with postgres.running() as server:
        yield server


class Clock:
    """Seconds, set by the test."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


async def answer(databases: Databases, address: DatabaseAddress, deadline: float = 10) -> object:
    """One harmless transaction."""
    async with databases.session(address, deadline) as connection:
        return (await (await connection.execute("SELECT 1 AS one")).fetchall())[0]["one"]


def sessions(world: World, application: str) -> int:
    """How many sessions of that name the server has."""
    return int(
        world.value(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()",
            application,
        )
    )


async def test_no_more_connections_than_the_limit_and_they_are_reused(world: World) -> None:
    async with Databases("few", Limits(connections=2)) as databases:
        seen = 0

        async def work() -> None:
            nonlocal seen
            async with databases.session(world.address) as connection:
                await connection.execute("SELECT pg_sleep(0.02)")
                seen = max(seen, await asyncio.to_thread(sessions, world, application_name("few")))

        await asyncio.gather(*(work() for _ in range(10)))
        assert seen == 2
        assert sessions(world, application_name("few")) == 2
    await until(lambda: sessions(world, application_name("few")) == 0)


async def test_unused_connections_are_closed_after_a_while(world: World) -> None:
    async with Databases("idle", Limits(idle=0.05)) as databases:
        await answer(databases, world.address)
        await until(lambda: sessions(world, application_name("idle")) == 0)
        assert await answer(databases, world.address) == 1


async def test_a_slow_statement_ends_at_the_deadline_here_and_on_the_server(world: World) -> None:
    with pytest.raises(StoreTrouble) as late:
        async with world.databases.session(world.address, deadline=0.3) as connection:
            await connection.execute("SELECT pg_sleep(3600)")
    assert late.value.reason is Reason.DATABASE_UNREACHABLE
    asleep = """
    SELECT count(*) FROM pg_stat_activity
    WHERE query ~ 'pg_sleep.3600' AND state = 'active' AND pid <> pg_backend_pid()
    """
    await until(lambda: world.value(asleep) == 0)
    assert await answer(world.databases, world.address) == 1


async def test_waiting_for_a_connection_has_a_deadline_too(world: World) -> None:
    async with Databases("one at a time", Limits(connections=1)) as databases, databases.session(world.address):
        with pytest.raises(StoreTrouble, match="did not answer in time"):
            await answer(databases, world.address, deadline=0.2)


async def test_a_failed_transaction_leaves_a_usable_connection(world: World) -> None:
    async with Databases("again", Limits(connections=1)) as databases:
        with contextlib.suppress(ZeroDivisionError):
            async with databases.session(world.address) as connection:
                await connection.execute("CREATE TABLE public.undone (a int)")
                raise ZeroDivisionError
        assert await answer(databases, world.address) == 1
    assert world.value("SELECT to_regclass('public.undone')") is None


async def test_no_session_state_is_left_for_the_next_user_of_a_connection(world: World) -> None:
    async with world.tx() as tx:
        await tx.lock_timeout(0.7)
    async with world.databases.session(world.address) as connection:
        row = await (
            await connection.execute("SELECT current_user AS role, current_setting('lock_timeout') AS timeout")
        ).fetchone()
    assert row == {"role": postgres.ADMIN, "timeout": "5s"}


async def test_a_database_that_is_away_fails_fast_and_is_found_again(own_server: postgres.Server) -> None:
    address = address_of(own_server.dsn())
    clock = Clock()
    async with Databases("one", Limits(failures=2, pause=0.5), clock) as databases:
        assert await answer(databases, address) == 1
        own_server.stop()
        for _ in range(2):
            with pytest.raises(StoreTrouble, match="can't be reached") as tried:
                await answer(databases, address)
            assert tried.value.retry_after is None
        with pytest.raises(StoreTrouble, match="can't be reached") as fast:
            await answer(databases, address)
        assert fast.value.retry_after is not None
        assert 0 < fast.value.retry_after <= 0.5
        own_server.start()
        async with asyncio.timeout(60):
            while True:
                clock.now += 0.5
                with contextlib.suppress(StoreTrouble):
                    assert await answer(databases, address) == 1
                    break
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [({"dbname": "not_there"}, Reason.DATABASE_UNSUITABLE), ({"password": "wrong"}, Reason.DATABASE_UNREACHABLE)],
    ids=["a database that is not there", "a wrong password"],
)
async def test_between_two_trials_the_trouble_is_told_in_the_same_words(
    wrong: dict[str, str], reason: Reason, world: World
) -> None:
    address = replace(world.address, **wrong)  # type: ignore[arg-type]
    told = set()
    async with Databases("one", Limits(failures=2, pause=30)) as databases:
        for _ in range(4):
            with pytest.raises(StoreTrouble) as met:
                await answer(databases, address)
            told.add((met.value.reason, str(met.value)))
        assert met.value.retry_after is not None
    assert len(told) == 1
    assert told.pop()[0] is reason


async def test_a_restart_between_two_calls_is_not_noticed(own_server: postgres.Server) -> None:
    address = address_of(own_server.dsn())
    async with Databases("one", Limits(fresh=0)) as databases:
        assert await answer(databases, address) == 1
        own_server.stop()
        own_server.start()
        assert await answer(databases, address) == 1


async def test_one_lost_database_does_not_delay_another(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections, and never says a word
        away = DatabaseAddress("127.0.0.1", silent.getsockname()[1], "rag", "app", "password")
        async with Databases("one", Limits(connect_timeout=3600)) as databases:
            lost = asyncio.create_task(answer(databases, away, deadline=3600))
            for _ in range(3):
                assert await answer(databases, world.address) == 1
            assert not lost.done()
            with pytest.raises(StoreTrouble):
                await answer(databases, away, deadline=0.3)
            lost.cancel()
            await asyncio.gather(lost, return_exceptions=True)


async def test_listening_survives_an_outage_and_says_that_it_may_have_missed_something(
    own_server: postgres.Server,
) -> None:
    async with Databases("one") as databases:
        world = await new_world(own_server, databases, own_server.dsn())
        stream = listen(world.address, world.catalog)
        notify = f"NOTIFY {world.catalog.operator_channel}, 'a-tenant'"
        async with asyncio.timeout(120):
            assert await anext(stream) == Reconnected()
            world.run(notify)
            assert await anext(stream) == "a-tenant"
            own_server.stop()
            assert isinstance(await anext(stream), Lost)
            own_server.start()
            while isinstance(heard := await anext(stream), Lost):
                pass
            assert heard == Reconnected()
            world.run(notify)
            assert await anext(stream) == "a-tenant"
        await stream.aclose()


async def test_a_listener_notices_by_itself_that_its_connection_is_dead(world: World) -> None:
    stream = listen(world.address, world.catalog, quiet=0.1)
    async with asyncio.timeout(60):
        assert await anext(stream) == Reconnected()
        world.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE application_name = 'rag-operator listen {world.catalog.schema}'"
        )
        assert isinstance(await anext(stream), Lost)
        assert await anext(stream) == Reconnected()
    await stream.aclose()
