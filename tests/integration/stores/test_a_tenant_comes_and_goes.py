"""A tenant's life in the catalog: taken in, changed, closed, kept, adopted, erased (DATA §7)."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from rag_operator.api.conditions import Reason
from rag_operator.stores import tenants
from rag_operator.stores.catalog import ensure_catalog
from rag_operator.stores.errors import QueryLoginNeeded, StoreProblem, StoreTrouble
from rag_operator.stores.promotion import promote
from rag_operator.stores.query_logins import ensure_query_logins
from rag_operator.stores.tenant_rows import Glance, glance
from rag_operator.stores.tenants import (
    TenantRequest,
    TenantRow,
    deactivate,
    ensure_tenant,
    erase,
    prove_erased,
    read_tenant,
    retain,
)
from tests.integration.stores.world import (
    INGEST_PASSWORD,
    QUERY_PASSWORD,
    Ingestion,
    World,
    catalog_request,
    read_tenants,
    request_for,
    snapshot,
    writes_nothing,
)


async def ensure(world: World, request: TenantRequest) -> TenantRow:
    """In a transaction of its own."""
    async with world.tx() as tx:
        return await ensure_tenant(tx, request)


async def test_a_new_tenant_is_open_and_empty(world: World) -> None:
    row = await world.add("acme")
    assert (row.state, row.open, row.active, row.shard, row.uid) == ("Active", True, None, 0, "uid-of-acme")
    assert row.api_keys == ("hash-of-acme",)
    assert row.config == {"topK": 6}
    async with world.tx() as tx:
        assert await read_tenants(tx) == [row]
        assert await read_tenant(tx, "rag", "acme") == row
        assert await read_tenant(tx, "rag", "nobody") is None


async def test_a_glance_shows_that_a_row_is_another(world: World) -> None:
    rows = [await world.add("acme"), await world.add("other")]

    async def seen() -> list[Glance]:
        async with world.tx() as tx:
            return sorted(await glance(tx))

    assert await seen() == [(row.namespace, row.name, row.id, row.promotion, row.mark) for row in rows]
    async with world.tx() as tx:
        closed = await deactivate(tx, "rag", "acme")
    assert closed is not None
    assert closed.mark != rows[0].mark
    assert [one.mark for one in await seen()] == [closed.mark, rows[1].mark]
    async with world.tx() as tx:
        await tx.change(SQL("UPDATE {c}.pointer SET summary = %s"), [Jsonb({"deadLetters": 1})])
    assert not {closed.mark, rows[1].mark} & {one.mark for one in await seen()}, "what ingestion tells"


async def test_tenants_of_one_name_in_two_namespaces_share_nothing(world: World) -> None:
    one, other = await ensure(world, request_for("acme")), await ensure(world, request_for("acme", namespace="other"))
    assert not {one.schema, one.reader, one.ingestion} & {other.schema, other.reader, other.ingestion}


async def test_a_second_identical_call_writes_nothing_and_tells_nobody(world: World) -> None:
    request = request_for("acme")
    first = await ensure(world, request)
    async with world.tx() as tx:
        await ensure_query_logins(tx, {0: "whatever"}, "1")
    before = snapshot(world)

    async def again() -> None:
        assert await ensure(world, request) == first
        async with world.tx() as tx:
            await ensure_query_logins(tx, {0: "whatever"}, "1")
            await read_tenants(tx)
        assert await ensure_catalog(world.databases, world.address, catalog_request()) == world.catalog

    assert await writes_nothing(world, again)
    assert snapshot(world) == before


async def test_a_change_is_stored_and_query_pods_are_told_once(world: World) -> None:
    row = await world.add("acme")
    with world.connect() as pod:
        pod.execute(f"LISTEN {world.catalog.query_channel}")
        changed = await ensure(world, request_for("acme", api_key_hashes=("new", "old"), config={"topK": 9}))
        world.run(f"NOTIFY {world.catalog.query_channel}, 'the end'")
        heard: list[str] = []
        while "the end" not in heard:
            heard += [note.payload for note in pod.notifies(timeout=60, stop_after=1)] or ["the end"]
    assert heard == [f"{row.id} catalog", "the end"]
    assert (changed.api_keys, changed.config) == (("new", "old"), {"topK": 9})
    assert changed.changed_at > row.changed_at


async def test_a_new_credential_replaces_the_old_one(world: World) -> None:
    row = await world.add("acme")
    await ensure(world, request_for("acme", password="a-new-password", credential_version="2"))
    world.connect(row.ingestion, "a-new-password").close()
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        world.connect(row.ingestion, INGEST_PASSWORD).close()


async def test_a_full_query_login_asks_for_the_next_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenants, "READERS_PER_LOGIN", 2)
    for name in ("a", "b"):
        assert (await world.add(name)).shard == 0
    with pytest.raises(QueryLoginNeeded) as needed:
        await world.add("c")
    assert needed.value.shard == 1
    async with world.tx() as tx:
        await ensure_query_logins(tx, {1: "password-of-login-1"}, "1")
    assert (await world.add("c")).shard == 1


async def test_a_query_login_that_joins_leaves_the_passwords_of_the_others(world: World) -> None:
    before = _verifier(world, 0)
    async with world.tx() as tx:
        await ensure_query_logins(tx, {0: QUERY_PASSWORD, 1: "of-the-one-that-joins"}, "2", former="1")
    assert _verifier(world, 0) == before
    world.connect(world.catalog.query_login(1), "of-the-one-that-joins").close()

    async def again() -> None:
        async with world.tx() as tx:
            await ensure_query_logins(tx, {0: QUERY_PASSWORD, 1: "of-the-one-that-joins"}, "2", former="2")

    assert await writes_nothing(world, again)


async def test_a_query_login_whose_password_changed_unseen_gets_the_new_one(world: World) -> None:
    async with world.tx() as tx:
        await ensure_query_logins(tx, {0: "changed-by-another-hand"}, "3", former="2")
    world.connect(world.catalog.query_login(0), "changed-by-another-hand").close()


def _verifier(world: World, shard: int) -> str:
    role = world.catalog.query_login(shard)
    return str(world.value("SELECT rolpassword FROM pg_authid WHERE rolname = %s", role))


async def test_the_operators_login_belongs_to_no_tenants_role(world: World) -> None:
    rows = [await world.add(name) for name in ("acme", "beta")]
    members = """
    SELECT array_agg(DISTINCT m.member::regrole::text) FROM pg_auth_members m WHERE m.roleid::regrole::text = ANY (%s)
    """
    catalog = world.catalog
    assert world.value(members, [row.ingestion for row in rows]) == [catalog.maker(0)]
    assert world.value(members, [row.reader for row in rows]) == [catalog.maker(0), catalog.query_login(0)]


async def test_roles_of_before_there_were_makers_are_altered_and_dropped(world: World) -> None:
    world.run(f"DROP ROLE {world.catalog.maker(0)}")
    row = await world.add("acme")
    async with world.tx() as tx:
        await ensure_query_logins(tx, {0: QUERY_PASSWORD}, "1")
    await ensure(world, request_for("acme", password="a-new-password", credential_version="2"))
    with world.connect(row.ingestion, "a-new-password"):
        for _ in range(2):
            async with world.tx() as tx:
                gone = await erase(tx, "rag", "acme")
    async with world.tx() as tx:
        assert gone or await erase(tx, "rag", "acme")
    async with world.tx() as tx:
        assert await prove_erased(tx, row.id.hex) == []
    again = await world.add("acme")
    members = "SELECT count(*) FROM pg_auth_members WHERE member = %s::regrole AND roleid::regrole::text = ANY (%s)"
    assert world.value(members, world.catalog.maker(0), [again.ingestion, again.reader]) == 2


async def test_a_closed_tenant_answers_nobody_and_takes_no_writes(world: World) -> None:
    row = await world.add("acme")
    with Ingestion(world, row) as job:
        job.sync("a")
        with world.connect() as pod:
            pod.execute(f"LISTEN {world.catalog.query_channel}")
            async with world.tx() as tx:
                closed = await deactivate(tx, "rag", "acme")
            assert [note.payload for note in pod.notifies(timeout=60, stop_after=1)] == [f"{row.id} catalog"]
        assert closed is not None
        assert (closed.state, closed.open, closed.api_keys) == ("Deactivated", False, ())
        with pytest.raises(psycopg.DatabaseError) as refused:
            job.sync("b")
        assert refused.value.diag.sqlstate == "RG002"
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        world.connect(row.ingestion, INGEST_PASSWORD).close()

    async def again() -> None:
        async with world.tx() as tx:
            assert await deactivate(tx, "rag", "acme") == closed
            assert await deactivate(tx, "rag", "nobody") is None

    assert await writes_nothing(world, again)


async def test_a_closed_tenant_is_opened_again_for_the_same_resource_and_no_other(world: World) -> None:
    row = await world.add("acme")
    with Ingestion(world, row) as job:
        job.sync("a")
    async with world.tx() as tx:
        await deactivate(tx, "rag", "acme")
    with pytest.raises(StoreProblem) as refused:
        await ensure(world, request_for("acme", uid="uid-of-another"))
    assert refused.value.reason is Reason.RETAINED_DATA
    opened = await ensure(world, request_for("acme"))
    assert (opened.id, opened.state, opened.open, opened.api_keys) == (row.id, "Active", True, row.api_keys)
    with world.connect(row.ingestion, INGEST_PASSWORD) as login:
        assert login.execute(f"SELECT count(*) FROM {row.schema}.document").fetchone() == (1,)


async def test_tenants_of_one_name_in_two_namespaces_have_nothing_in_common(world: World) -> None:
    mine, theirs = await world.add("acme"), await world.add("acme", namespace="sales", uid="uid-of-the-other")
    assert len({mine.id, theirs.id, mine.schema, theirs.schema, mine.reader, theirs.reader}) == 6
    assert mine.ingestion != theirs.ingestion
    for row in (mine, theirs):
        with Ingestion(world, row) as job:
            job.sync(f"of {row.namespace}")
    with world.connect(theirs.ingestion, INGEST_PASSWORD) as login, pytest.raises(psycopg.errors.InsufficientPrivilege):
        login.execute(f"SELECT * FROM {mine.schema}.document")
    async with world.tx() as tx:
        await deactivate(tx, "rag", "acme")
        await retain(tx, "rag", "acme")
    async with world.tx() as tx:
        left = {(row.namespace, row.state, row.open) for row in await read_tenants(tx)}
    assert left == {("rag", "Retained", False), ("sales", "Active", True)}


async def test_kept_data_is_adopted_only_when_told(world: World) -> None:
    row = await world.add("acme")
    with Ingestion(world, row) as job:
        job.sync("a")
    async with world.tx() as tx:
        await deactivate(tx, "rag", "acme")
    async with world.tx() as tx:
        kept = await retain(tx, "rag", "acme")
    assert kept is not None
    assert kept.state == "Retained"
    again = request_for("acme", uid="uid-of-the-next", credential_version="2", password="the-next-password")
    with pytest.raises(StoreProblem) as refused:
        await ensure(world, again)
    assert refused.value.reason is Reason.RETAINED_DATA
    assert f"rag-operator.dev/adopt-retained: {row.id}" in str(refused.value)
    assert f"rag-operator.dev/erase-retained: {row.id}" in str(refused.value)
    with pytest.raises(StoreProblem):
        await ensure(world, request_for("acme", uid="uid-of-the-next", adopt=uuid4()))
    adopting = request_for(
        "acme", uid="uid-of-the-next", credential_version="2", password="the-next-password", adopt=row.id
    )
    adopted = await ensure(world, adopting)
    assert (adopted.id, adopted.state, adopted.open) == (row.id, "Active", True)
    with world.connect(row.ingestion, "the-next-password") as job:
        assert job.execute(f"SELECT count(*) FROM {row.schema}.document").fetchone() == (1,)
    # the annotation may stay: it changes nothing any more
    assert await ensure(world, adopting) == adopted


async def test_a_tenant_that_was_recreated_behind_our_back_does_not_inherit_data(world: World) -> None:
    await world.add("acme")
    with pytest.raises(StoreProblem) as refused:
        await ensure(world, request_for("acme", uid="another-uid"))
    assert refused.value.reason is Reason.RETAINED_DATA


async def test_data_that_is_being_erased_cannot_be_adopted(world: World) -> None:
    row = await world.add("acme")
    async with world.tx() as tx:
        assert await erase(tx, "rag", "acme") is False
    with pytest.raises(StoreTrouble) as waiting:
        await ensure(world, request_for("acme", adopt=row.id))
    assert waiting.value.reason is Reason.DELETING


async def test_what_somebody_dropped_by_hand_is_made_again(world: World) -> None:
    row = await world.add("acme")
    with Ingestion(world, row) as job:
        job.sync("a")
        revision = job.build()
    async with world.tx() as tx:
        await promote(tx, row.id, revision, None)
    before = snapshot(world)
    world.run(f"DROP SCHEMA {row.schema} CASCADE", f"DROP ROLE {row.ingestion}, {row.reader}")
    mended = await ensure(world, request_for("acme"))
    assert (mended.active, mended.shape) == (None, None)
    with Ingestion(world, mended) as job:
        job.sync("a")
        job.build()
    async with world.tx() as tx:
        assert (await promote(tx, row.id, 1, None)).promoted
    assert [line for line in snapshot(world).splitlines() if "rag_acme" in line] == [
        line for line in before.splitlines() if "rag_acme" in line
    ]


async def test_erasure_leaves_nothing_and_ends_sessions(world: World) -> None:
    row, other = await world.add("acme"), await world.add("other")
    job = Ingestion(world, row)
    job.sync("a")
    job.build()
    job.call(
        "INSERT INTO {c}.dead_letter (tenant, source, path, step, reason, message)"
        " VALUES ({c}.self_tenant(), 's', 'p', 'Sync', 'r', 'm') RETURNING 1"
    )
    async with world.tx() as tx:
        assert len(await prove_erased(tx, row.id.hex)) >= 6
    async with world.tx() as tx:
        await deactivate(tx, "rag", "acme")
    async with world.tx() as tx:
        assert await erase(tx, "rag", "acme") is True
    async with world.tx() as tx:
        assert await prove_erased(tx, row.id.hex) == []
        assert await erase(tx, "rag", "acme") is True
        assert [left.name for left in await read_tenants(tx)] == ["other"]
    with pytest.raises(psycopg.OperationalError):
        job.call("SELECT 1")
    world.connect(other.ingestion, INGEST_PASSWORD).close()
    assert "acme" not in snapshot(world)


async def test_an_open_tenant_is_closed_before_it_is_erased(world: World) -> None:
    row = await world.add("acme")
    async with world.tx() as tx:
        assert await erase(tx, "rag", "acme") is False
    async with world.tx() as tx:
        assert await erase(tx, "rag", "acme") is True
        assert await prove_erased(tx, row.id.hex) == []


@pytest.mark.parametrize(
    ("plant", "finding"),
    [
        ("CREATE SCHEMA rag_renamed_{short}", "schema rag_renamed_{short}"),
        ("CREATE ROLE {c}_{long}_ingest", "role {c}_{long}_ingest"),
        ("INSERT INTO {c}.pointer (tenant, schema, login) VALUES ('{id}', 'x', 'x')", "1 rows in {c}.pointer"),
        (
            "INSERT INTO {c}.dead_letter (tenant, source, path, step, reason, message)"
            " VALUES ('{id}', 's', 'p', 'Sync', 'r', 'm')",
            "1 rows in {c}.dead_letter",
        ),
        ("CREATE TABLE {c}.feedback (tenant uuid); INSERT INTO {c}.feedback VALUES ('{id}')", "1 rows in {c}.feedback"),
    ],
)
async def test_a_forgotten_part_is_found(world: World, plant: str, finding: str) -> None:
    row = await world.add("acme")
    async with world.tx() as tx:
        await deactivate(tx, "rag", "acme")
    async with world.tx() as tx:
        await erase(tx, "rag", "acme")
    names = {"c": world.catalog.schema, "id": row.id, "short": row.id.hex[:10], "long": row.id.hex[:12]}
    world.run(plant.format(**names))
    world.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {world.catalog.schema} TO {world.catalog.owner}")
    async with world.tx() as tx:
        assert await prove_erased(tx, row.id.hex) == [finding.format(**names)]
        assert await prove_erased(tx, row.id.hex[:10]) == [finding.format(**names)]


async def test_erasure_waits_for_no_reader_for_long(world: World) -> None:
    row = await world.add("acme")
    async with world.tx() as tx:
        await deactivate(tx, "rag", "acme")
    with world.connect() as reader, reader.transaction():
        reader.execute(f"SELECT * FROM {row.schema}.document")
        with pytest.raises(StoreTrouble, match="lock timeout"):
            async with world.tx() as tx:
                await erase(tx, "rag", "acme")
    async with world.tx() as tx:
        assert await erase(tx, "rag", "acme") is True


async def test_a_right_given_by_hand_is_named_when_it_hinders_erasure(world: World) -> None:
    row = await world.add("acme")
    world.run("CREATE TABLE public.theirs (a int)", f"GRANT SELECT ON public.theirs TO {row.reader}")
    async with world.tx() as tx:
        await deactivate(tx, "rag", "acme")
    with pytest.raises(StoreProblem, match=r"theirs.*revoke the rights"):
        async with world.tx() as tx:
            await erase(tx, "rag", "acme")
