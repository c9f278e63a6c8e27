"""DATA §3, index version: it moves in the transaction that changes visible rows, and in no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rag_runtime.ingest import revisions
from rag_runtime.ingest.leases import Holder, LeaseKey
from rag_runtime.models.errors import ModelRejected
from tests.integration.ingest.harness import Desk, other, until


async def test_a_build_that_nothing_serves_from_leaves_it_alone(desk: Desk) -> None:
    before = desk.version()
    desk.write(one="words")
    await desk.run()
    assert desk.version() == before
    desk.promote()
    promoted = desk.version()
    assert promoted != before
    desk.configure(shape=other())
    await desk.run()
    assert len(desk.chunks(2)) == 1
    assert desk.version() == promoted


async def test_a_run_over_unchanged_input_leaves_it_alone(desk: Desk) -> None:
    desk.write(one="words")
    await desk.run()
    desk.promote()
    before = desk.version()
    (desk.folder / "one.md").touch()  # another validator, the same bytes
    assert (await desk.run())["unchanged"] == 1
    assert desk.version() == before


async def test_each_visible_change_moves_counter_and_token(desk: Desk) -> None:
    desk.write(one="words", two="more words")
    await desk.run()
    desk.promote()
    seen = [desk.version()]

    async def moved() -> bool:
        await desk.run()
        seen.append(desk.version())
        return seen[-1][0] > seen[-2][0] and seen[-1][1] != seen[-2][1]

    desk.write(three="added")
    assert await moved()
    desk.write(three="changed in length")
    assert await moved()
    desk.configure_source(acl=["staff"])
    assert await moved()
    desk.configure_source(metadata={"team": "support"})
    assert await moved()
    desk.remove("two")
    assert await moved()
    desk.configure(sources=[])
    assert await moved()
    assert desk.chunks() == []
    assert not await moved()


async def test_an_acl_change_of_documents_that_the_serving_revision_lacks_leaves_it_alone(desk: Desk) -> None:
    desk.write(one="words")
    await desk.run()
    desk.promote()
    desk.rows("DELETE FROM {s}.chunk_r1")
    before = desk.version()
    desk.configure_source(acl=["staff"])
    await desk.run()
    assert desk.one("SELECT acl FROM {s}.document") == ["staff"]
    assert desk.version() == before


async def test_a_document_that_is_refused_leaves_it_alone(desk: Desk) -> None:
    desk.write(one="words")
    await desk.run()
    desk.promote()
    before = desk.version()

    async def refuse(texts: Sequence[str]) -> None:
        if any("unspeakable" in text for text in texts):
            raise ModelRejected("the endpoint refuses this text")

    desk.embedder.before = refuse
    desk.write(one="unspeakable")
    assert (await desk.run())["failed"] == 1
    assert [chunk[2] for chunk in desk.chunks()] == ["words"]
    assert desk.version() == before


async def test_a_promotion_waits_for_a_batch_so_that_no_row_changes_under_the_promoted_version(desk: Desk) -> None:
    """The batch looked at the pointer before the promotion: it does not move the version, so it must commit first."""
    desk.write(one="words")
    await desk.run()
    async with desk.store.session() as session:
        lease = await Holder("index", 60).take(session, LeaseKey("Index", 1))
        assert lease is not None
        async with session.transaction():
            await session.rows(revisions.BEGIN, [1, 0, lease.epoch])
            (row,) = await session.rows("SELECT id FROM {s}.document")
            await session.rows(revisions.REPLACE, [1, [row[0]]])
            await session.rows(revisions.COMMIT, [1, 0, lease.epoch, lease.watermark, lease.watermark, [row[0]]])
            promotion = asyncio.create_task(asyncio.to_thread(desk.promote))
            await until(lambda: bool(desk.rows("SELECT 1 FROM pg_locks WHERE NOT granted")))
            before = desk.version()
        await promotion
    assert desk.version()[0] == before[0] + 1
