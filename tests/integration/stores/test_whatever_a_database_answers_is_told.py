"""Whatever a database answers becomes a reason and a sentence of ours, which tells no value."""

from __future__ import annotations

import pytest

from rag_operator.api.conditions import Reason
from rag_operator.stores.errors import StoreTrouble
from rag_operator.stores.leases import drop_stray, holding_back, read_leases
from tests.integration.stores.world import QUERY_PASSWORD, World

SECRET = "5d41402abc4b"
END_SESSIONS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
LEASE = "INSERT INTO {}.reader_lease VALUES ('a', 3, 2, %s, %s)"


async def told(world: World, statement: str) -> StoreTrouble:
    """What becomes of the answer to a statement."""
    with pytest.raises(StoreTrouble) as trouble:
        async with world.databases.session(world.address) as connection:
            await (await connection.execute(statement.encode())).fetchall()
    assert world.address.where in str(trouble.value)
    return trouble.value


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT '{SECRET}'::uuid",
        f"SELECT 1 '{SECRET}' 2",
        f"DO $$ BEGIN RAISE EXCEPTION '{SECRET}'; END $$",
        "SELECT timestamptz 'infinity'",
        "SELECT 1 / 0",
    ],
    ids=["a bad value", "bad syntax", "a function's own words", "a time without a Python value", "a division by zero"],
)
async def test_what_is_not_known_is_told_without_its_values(world: World, statement: str) -> None:
    trouble = await told(world, statement)
    assert trouble.reason is Reason.DATABASE_UNSUITABLE
    assert SECRET not in str(trouble)
    assert "infinity" not in str(trouble)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("SELECT FROM nothing_of_the_sort", 'relation "nothing_of_the_sort" does not exist'),
        ("SELECT nothing_of_the_sort FROM pg_class", 'column "nothing_of_the_sort" does not exist'),
        (
            "DO $$ BEGIN RAISE USING ERRCODE = 'XX001', MESSAGE = 'invalid page in block 7'; END $$",
            "invalid page in block 7",
        ),
    ],
)
async def test_what_is_missing_or_damaged_is_named(world: World, statement: str, words: str) -> None:
    trouble = await told(world, statement)
    assert trouble.reason is Reason.DATABASE_UNSUITABLE
    assert words in str(trouble)


async def test_another_writer_of_a_role_is_waited_out(world: World) -> None:
    said = "DO $$ BEGIN RAISE USING ERRCODE = 'XX000', MESSAGE = 'tuple concurrently updated'; END $$"
    assert (await told(world, said)).reason is Reason.RECONCILING


@pytest.mark.parametrize(
    ("failures", "expires", "read"),
    [
        ("[]", "infinity", {}),
        ('"text"', "now", {}),
        ("null", "-infinity", {}),
        (
            f'{{"a": 1{"0" * 5000}, "b": null, "c": "no table"}}',
            "now",
            {"a": "1" + "0" * 5000, "b": "", "c": "no table"},
        ),
    ],
    ids=["a list", "a text", "null", "a number that Python reads not"],
)
async def test_a_lease_is_read_whatever_a_pod_has_written_there(
    world: World, failures: str, expires: str, read: dict[str, str]
) -> None:
    with world.connect(world.catalog.query_login(0), QUERY_PASSWORD) as pod:
        pod.execute(LEASE.format(world.catalog.schema), [failures, expires])
    async with world.tx() as tx:
        (lease,) = await read_leases(tx)
    assert (lease.pod, lease.applied, lease.pinned, lease.failures) == ("a", 3, 2, read)
    assert not lease.live


@pytest.mark.parametrize(
    ("expires", "live", "kept"),
    [
        ("1 minute", True, True),
        ("-1 minute", False, True),
        ("-25 hours", False, False),
        ("25 hours", False, False),
    ],
    ids=["a pod that serves", "one that may come back", "one that died yesterday", "one that no pod wrote"],
)
async def test_a_lease_ends_with_its_pod_whatever_it_says(world: World, expires: str, live: bool, kept: bool) -> None:
    world.run(f"INSERT INTO {world.catalog.schema}.reader_lease VALUES ('a', 0, 0, '{{}}', now() + '{expires}')")
    async with world.tx() as tx:
        (lease,) = leases = await read_leases(tx)
        await drop_stray(tx, leases)
        left = await read_leases(tx)
    assert lease.live is live
    assert holding_back(leases, 1) == (("a",) if live else ())
    assert left == (leases if kept else [])


async def test_a_database_that_is_read_only_is_told_and_written_to_as_soon_as_it_may_be(world: World) -> None:
    database = f"ALTER DATABASE {world.address.dbname}"
    world.run(f"{database} SET default_transaction_read_only = on", END_SESSIONS)
    for _ in range(2):
        with pytest.raises(StoreTrouble, match="is read-only: ") as trouble:
            await world.add("acme")
        assert trouble.value.reason is Reason.DATABASE_UNSUITABLE
    world.run("SET default_transaction_read_only = off", f"{database} RESET default_transaction_read_only")
    assert (await world.add("acme")).name == "acme"
