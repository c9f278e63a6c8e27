"""DATA §2: passwords rotate over two alternating logins, and no moment refuses one."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from rag_operator.api.conditions import Reason
from rag_operator.stores.errors import StoreProblem
from rag_operator.stores.holdings import read_holdings
from rag_operator.stores.promotion import promote
from rag_operator.stores.query_logins import (
    Closing,
    close_former_logins,
    end_former_sessions,
    ensure_query_logins,
    read_turns,
)
from rag_operator.stores.tenants import TenantRow
from tests.integration.stores.test_a_crash_between_any_two_statements_is_completed import crashes
from tests.integration.stores.world import (
    QUERY_PASSWORD,
    Crash,
    Ingestion,
    World,
    snapshot,
    writes_nothing,
)

SECOND = "password-of-the-second-turn"
THIRD = "password-of-the-third-turn"
GRACE = 600.0
Pair = tuple[str, str]


async def turn(world: World, password: str, version: str, *, alternate: bool, former: str = "") -> list[int]:
    """The Secret of that version names this login of shard 0."""
    async with world.tx() as tx:
        return await ensure_query_logins(tx, {0: password}, version, former, {0} if alternate else ())


async def close(world: World, grace: float) -> Closing:
    """As the operator does at each look."""
    async with world.tx() as tx:
        closing = await close_former_logins(tx, grace)
    async with world.tx() as tx:
        await end_former_sessions(tx, closing)
    return closing


def admits(world: World, role: str, password: str) -> bool:
    """Whether a new session is let in."""
    try:
        world.connect(role, password).close()
    except psycopg.OperationalError:
        return False
    return True


def pair(world: World) -> Pair:
    """Both logins of shard 0."""
    return world.catalog.query_login(0), world.catalog.alternate_login(0)


async def served(world: World, name: str) -> TenantRow:
    """A tenant with one document, indexed and serving."""
    row = await world.add(name)
    with Ingestion(world, row) as job:
        job.sync(f"secret of {name}")
        revision = job.build()
    async with world.tx() as tx:
        assert (await promote(tx, row.id, revision, None)).promoted
    return row


def read(world: World, who: Pair, row: TenantRow, table: str = "chunk_r1_v", reader: str | None = None) -> list[str]:
    """What a query of the query service finds, logged in as `who` (role and password)."""
    with world.connect(*who) as session, session.transaction():
        session.execute("SELECT set_config('role', %s, true)", [reader or row.reader])
        session.execute(
            "SELECT set_config('rag.tenant', %s, true), set_config('rag.acl', %s, true)", [str(row.id), "{*}"]
        )
        return [str(text) for (text,) in session.execute(f"SELECT text FROM {row.schema}.{table}")]


async def test_the_other_login_takes_its_turn_and_the_former_goes_on(world: World) -> None:
    first, other = pair(world)
    assert not world.value("SELECT count(*) FROM pg_roles WHERE rolname = %s", other), "made at the first rotation"
    assert await turn(world, SECOND, "2", alternate=True) == [0]
    assert admits(world, other, SECOND)
    assert admits(world, first, QUERY_PASSWORD)
    async with world.tx() as tx:
        assert await read_turns(tx) == {0: True}
        closing = await close_former_logins(tx, GRACE)
    assert closing.closed == ()
    assert closing.due is not None
    assert GRACE - 60 < closing.due <= GRACE
    assert admits(world, first, QUERY_PASSWORD)


async def test_the_former_login_is_closed_after_the_grace_and_its_sessions_end(world: World) -> None:
    first, other = pair(world)
    await turn(world, SECOND, "2", alternate=True)
    with world.connect(first, QUERY_PASSWORD) as old, world.connect(other, SECOND) as new:
        assert await close(world, 0) == Closing((first,))
        with pytest.raises(errors.AdminShutdown):
            old.execute("SELECT 1")
        assert new.execute("SELECT 1").fetchone() == (1,)
    assert not admits(world, first, QUERY_PASSWORD)
    assert admits(world, other, SECOND)
    assert await close(world, 0) == Closing()


async def test_a_session_that_outlives_the_closing_is_ended_at_the_next_look(world: World) -> None:
    first, _ = pair(world)
    await turn(world, SECOND, "2", alternate=True)
    with world.connect(first, QUERY_PASSWORD) as old:
        async with world.tx() as tx:
            assert (await close_former_logins(tx, 0)).closed == (first,)
        assert old.execute("SELECT 1").fetchone() == (1,), "the operator died before it ended the session"
        assert await close(world, 0) == Closing((first,))
        with pytest.raises(errors.AdminShutdown):
            old.execute("SELECT 1")


async def test_questions_are_answered_at_every_turn_and_of_no_other_tenant(world: World) -> None:
    acme, umbrella = await served(world, "acme"), await served(world, "umbrella")
    first, other = pair(world)

    def only_its_own(who: Pair) -> None:
        assert read(world, who, acme) == ["text of secret of acme"]
        assert read(world, who, umbrella) == ["text of secret of umbrella"]
        with pytest.raises(errors.InsufficientPrivilege):
            read(world, who, umbrella, reader=acme.reader)
        with pytest.raises(errors.InsufficientPrivilege):
            read(world, who, acme, table="chunk_r1")
        with world.connect(*who) as session:
            assert session.execute(f"SELECT count(*) FROM {world.catalog.schema}.tenant").fetchone() == (2,)
            for table in ("chunk_r1_v", "chunk_r1", "document"):
                with pytest.raises(errors.InsufficientPrivilege):
                    session.execute(f"SELECT * FROM {acme.schema}.{table}")
            for role in (world.catalog.owner, acme.ingestion):
                with pytest.raises(errors.InsufficientPrivilege):
                    session.execute(f"SET ROLE {role}")

    await turn(world, SECOND, "2", alternate=True)
    only_its_own((other, SECOND))
    only_its_own((first, QUERY_PASSWORD))
    await close(world, 0)
    only_its_own((other, SECOND))
    late = await served(world, "late")
    assert read(world, (other, SECOND), late) == ["text of secret of late"], (
        "its reader is made while the first is shut"
    )
    async with world.tx() as tx:
        assert (await read_holdings(tx)).roles == (), "both logins are the catalog's own"


async def test_the_second_rotation_goes_back_to_the_first_login(world: World) -> None:
    acme = await served(world, "acme")
    first, other = pair(world)
    await turn(world, SECOND, "2", alternate=True)
    await close(world, 0)
    assert await turn(world, THIRD, "3", alternate=False) == [0]
    assert admits(world, other, SECOND)
    assert not admits(world, first, QUERY_PASSWORD)
    assert read(world, (first, THIRD), acme) == ["text of secret of acme"]
    assert (await close(world, 0)).closed == (other,)
    assert not admits(world, other, SECOND)
    assert read(world, (first, THIRD), acme) == ["text of secret of acme"]


async def test_nothing_is_written_between_rotations(world: World) -> None:
    async def idle(version: str, *, alternate: bool) -> bool:
        async def look() -> None:
            assert await turn(world, "unused", version, alternate=alternate) == []
            assert (await close(world, GRACE)).closed == ()

        return await writes_nothing(world, look)

    assert await idle("1", alternate=False)
    for version, alternate in (("2", True), ("3", False), ("4", True)):
        await turn(world, SECOND, version, alternate=alternate)
        assert await idle(version, alternate=alternate)
        await close(world, 0)
        assert await idle(version, alternate=alternate)


async def test_a_changed_secret_with_the_same_logins_rotates_nothing(world: World) -> None:
    first, other = pair(world)
    await turn(world, SECOND, "2", alternate=True)
    before = world.value("SELECT rolpassword FROM pg_authid WHERE rolname = %s", other)
    async with world.tx() as tx:
        added = await ensure_query_logins(tx, {0: SECOND, 1: "of-the-one-that-joins"}, "3", "2", {0})
    assert added == []
    assert world.value("SELECT rolpassword FROM pg_authid WHERE rolname = %s", other) == before
    assert admits(world, world.catalog.query_login(1), "of-the-one-that-joins")
    assert (await close(world, 0)).closed == (first,), "its grace counts from its own turn"
    assert admits(world, other, SECOND)


async def test_a_rotation_cut_off_anywhere_is_completed(crash_after: Crash, world: World) -> None:
    first, other = pair(world)

    async def rotate() -> None:
        await turn(world, SECOND, "2", alternate=True)

    await crashes(crash_after, rotate, 4)
    assert admits(world, first, QUERY_PASSWORD)
    assert admits(world, other, SECOND)
    with world.connect(first, QUERY_PASSWORD) as old:
        await crashes(crash_after, lambda: close(world, 0), 3)
        with pytest.raises(errors.AdminShutdown):
            old.execute("SELECT 1")
    assert not admits(world, first, QUERY_PASSWORD)


async def test_logins_of_a_catalog_that_was_restored_without_roles_come_back(world: World) -> None:
    first, other = pair(world)
    await turn(world, SECOND, "2", alternate=True)
    await close(world, 0)
    before = snapshot(world)
    world.run(*(f"DROP OWNED BY {role}; DROP ROLE {role}" for role in (other, first)))
    await turn(world, SECOND, "2", alternate=True)
    assert snapshot(world) == before
    assert not admits(world, first, QUERY_PASSWORD)
    assert read(world, (other, SECOND), await served(world, "acme")) == ["text of secret of acme"]


async def test_a_login_that_was_closed_by_hand_is_opened(world: World) -> None:
    first, _ = pair(world)
    world.run(f"ALTER ROLE {first} NOLOGIN")
    await turn(world, QUERY_PASSWORD, "1", alternate=False)
    assert admits(world, first, QUERY_PASSWORD)


async def test_after_a_release_without_alternates_the_grace_starts_anew(world: World) -> None:
    """Rolled back and forth: that release names the first login, with the password in force, and shuts none."""
    first, other = pair(world)
    await turn(world, SECOND, "2", alternate=True)
    await close(world, 0)
    world.run(
        f"ALTER ROLE {first} LOGIN PASSWORD '{SECOND}'",
        f"UPDATE {world.catalog.schema}.query_login SET credential_version = '3'",
    )
    assert await turn(world, SECOND, "3", alternate=False) == []
    assert (await close(world, GRACE)).closed == ()
    assert admits(world, other, SECOND)
    assert (await close(world, 0)).closed == (other,)
    assert admits(world, first, SECOND)


async def test_an_alternate_that_is_anothers_is_refused_and_stays_as_it_is(world: World) -> None:
    _, other = pair(world)
    world.run(f"CREATE ROLE {other} LOGIN PASSWORD 'theirs'")
    with pytest.raises(StoreProblem) as refused:
        await turn(world, SECOND, "2", alternate=True)
    assert refused.value.reason is Reason.ROLE_TAKEN
    assert admits(world, other, "theirs")
    world.run(f"DROP ROLE {other}")
