"""DATA §3, leases: a holder that lost its lease can't commit, whatever it still has in hand."""

from __future__ import annotations

import asyncio

import pytest

from rag_runtime.ingest import batches, revisions
from rag_runtime.ingest.batches import Batch, Piece
from rag_runtime.ingest.chunk import Chunk
from rag_runtime.ingest.copying import encode_vectors
from rag_runtime.ingest.embedding import Embedded
from rag_runtime.ingest.errors import Superseded, TenantClosed
from rag_runtime.ingest.leases import Holder, Lease, LeaseKey
from rag_runtime.ingest.parse import Sandbox
from rag_runtime.ingest.report import Counts
from rag_runtime.ingest.revisions import Shard
from rag_runtime.ingest.sync import Sync
from tests.integration.ingest.harness import SHAPE, Desk, HashEmbedder, until

INDEX = LeaseKey("Index", 1)


def _expire(desk: Desk) -> None:
    desk.rows("UPDATE {s}.run SET expires_at = clock_timestamp() - interval '1 s'")


async def _take(desk: Desk, name: str, key: LeaseKey) -> Lease:
    async with desk.store.session() as session:
        lease = await Holder(name, 60).take(session, key)
    assert lease is not None
    return lease


async def test_a_sync_whose_fence_was_taken_writes_nothing(desk: Desk) -> None:
    desk.write(one="text")
    old = await _take(desk, "old", LeaseKey("Sync"))
    _expire(desk)
    await _take(desk, "new", LeaseKey("Sync"))
    async with desk.store.session() as session, Sandbox() as sandbox:
        sync = Sync(desk.config, session, old.epoch, sandbox, Counts(), lambda: None)
        with pytest.raises(Superseded):
            await sync.run()
    assert desk.rows("SELECT path FROM {s}.document") == []


async def test_a_superseded_sync_neither_deletes_nor_restates(desk: Desk) -> None:
    desk.write(one="text", two="text")
    await desk.run()
    old = await _take(desk, "old", LeaseKey("Sync"))
    _expire(desk)
    await _take(desk, "new", LeaseKey("Sync"))
    before = desk.rows("SELECT path, acl, deleted FROM {s}.document ORDER BY path")
    desk.remove("two")
    desk.configure_source(acl=["staff"])
    async with desk.store.session() as session, Sandbox() as sandbox:
        with pytest.raises(Superseded):
            await Sync(desk.config, session, old.epoch, sandbox, Counts(), lambda: None).run()
    assert desk.rows("SELECT path, acl, deleted FROM {s}.document ORDER BY path") == before


async def _batch_in_hand(desk: Desk) -> tuple[Batch, list[batches.Result]]:
    async with desk.store.session() as session:
        await revisions.create(session, SHAPE)
        (document,) = await revisions.read(session, 0, 10, Shard())
    vectors = await HashEmbedder().embed(["zombie"])
    encoded = encode_vectors(vectors, SHAPE.quantization)
    batch = Batch(0, document.seq, [Piece(document, [Chunk(0, "zombie", "", 1, 0, 6)])])
    return batch, batches.results(batch, Embedded(encoded, [0], {}))


async def _synced(desk: Desk) -> None:
    desk.write(one="text")
    lease = await _take(desk, "sync", LeaseKey("Sync"))
    async with desk.store.session() as session, Sandbox() as sandbox:
        await Sync(desk.config, session, lease.epoch, sandbox, Counts(), lambda: None).run()


async def test_a_zombie_index_run_with_an_old_epoch_is_refused(desk: Desk) -> None:
    await _synced(desk)
    batch, shared = await _batch_in_hand(desk)
    old = await _take(desk, "old", INDEX)
    _expire(desk)
    await _take(desk, "new", INDEX)
    async with desk.store.session() as session:
        with pytest.raises(Superseded):
            await batches.write(session, old, batch, shared)
    assert desk.chunks() == []
    assert desk.one("SELECT watermark FROM {s}.run WHERE step = 'Index'") == 0


async def test_a_batch_read_from_another_watermark_is_refused(desk: Desk) -> None:
    await _synced(desk)
    batch, shared = await _batch_in_hand(desk)
    lease = await _take(desk, "only", INDEX)
    desk.rows("UPDATE {s}.run SET watermark = 7 WHERE step = 'Index'")
    async with desk.store.session() as session:
        with pytest.raises(Superseded):
            await batches.write(session, lease, batch, shared)
    assert desk.chunks() == []


async def test_a_batch_of_a_retired_revision_is_refused(desk: Desk) -> None:
    await _synced(desk)
    batch, shared = await _batch_in_hand(desk)
    lease = await _take(desk, "only", INDEX)
    desk.rows("UPDATE {s}.revision SET state = 'Retiring'")
    async with desk.store.session() as session:
        with pytest.raises(Superseded):
            await batches.write(session, lease, batch, shared)
    assert desk.chunks() == []


async def test_a_run_that_is_superseded_while_it_embeds_ends_with_0_and_leaves_the_data_to_its_successor(
    desk: Desk,
) -> None:
    desk.write(one="text")
    embedding = asyncio.Event()

    async def taken_over(texts: object) -> None:
        embedding.set()
        await asyncio.sleep(3600)

    desk.embedder.before = taken_over
    running = asyncio.create_task(desk.new_run().run())
    await asyncio.wait_for(embedding.wait(), 60)
    _expire(desk)
    desk.rows("UPDATE {s}.run SET epoch = epoch + 1, holder = 'new' WHERE step = 'Index'")
    assert await asyncio.wait_for(running, 60) == 0
    assert desk.chunks() == []


async def test_a_second_run_gives_up_politely_while_the_first_is_alive(desk: Desk) -> None:
    desk.write(one="text")
    desk.configure(lease_seconds=6)  # of which two thirds may pass without a renewal
    embedding, go_on = asyncio.Event(), asyncio.Event()

    async def wait(texts: object) -> None:
        embedding.set()
        await go_on.wait()

    desk.embedder.before = wait
    first = asyncio.create_task(desk.new_run().run())
    await asyncio.wait_for(embedding.wait(), 60)
    second = desk.new_run()
    assert await asyncio.wait_for(second.run(), 60) == 0
    assert second.counts.embedded == 0
    go_on.set()
    assert await first == 0
    assert len(desk.chunks()) == 1


async def test_a_run_takes_over_from_a_dead_one_when_its_lease_expires(desk: Desk) -> None:
    desk.write(one="text")
    async with desk.store.session() as session:
        assert await Holder("dead", 1).take(session, LeaseKey("Sync")) is not None
    assert (await desk.run())["added"] == 1


async def test_a_finished_run_gives_its_leases_back(desk: Desk) -> None:
    desk.write(one="text")
    await desk.run()
    assert desk.rows("SELECT step FROM {s}.run WHERE expires_at > clock_timestamp()") == []


async def test_a_closed_tenant_ends_the_run_with_0(desk: Desk) -> None:
    desk.write(one="text")
    desk.rows("UPDATE {c}.pointer SET open = false")
    assert await desk.new_run().run() == 0
    async with desk.store.session() as session:
        with pytest.raises(TenantClosed):
            await Holder("any", 1).take(session, INDEX)


async def test_the_lease_is_renewed_while_an_embedding_takes_longer_than_it_lasts(desk: Desk) -> None:
    desk.write(one="text")
    first: list[object] = []

    async def slow(texts: object) -> None:
        first.append(desk.one("SELECT expires_at FROM {s}.run WHERE step = 'Index'"))
        await until(lambda: desk.one("SELECT expires_at FROM {s}.run WHERE step = 'Index'") > first[0])

    desk.embedder.before = slow
    await desk.run()
    assert len(desk.chunks()) == 1


async def test_a_batch_begins_for_the_holder_only(desk: Desk) -> None:
    """Before the watermark is looked at, chunks are removed: a zombie must not get there."""
    await _synced(desk)
    await _batch_in_hand(desk)
    old = await _take(desk, "old", INDEX)
    _expire(desk)
    new = await _take(desk, "new", INDEX)
    async with desk.store.session() as session:
        with pytest.raises(Superseded):
            await session.rows(revisions.BEGIN, [1, 0, old.epoch])
        await session.rows(revisions.BEGIN, [1, 0, new.epoch])


async def test_the_watermark_itself_moves_for_the_holder_only(desk: Desk) -> None:
    """Also without the look at the lease that begins a batch: a zombie may have passed it before it was superseded."""
    await _synced(desk)
    await _batch_in_hand(desk)
    old = await _take(desk, "old", INDEX)
    _expire(desk)
    await _take(desk, "new", INDEX)
    async with desk.store.session() as session:
        with pytest.raises(Superseded):
            await session.rows(revisions.COMMIT, [1, 0, old.epoch, 0, 1, []])
    assert desk.one("SELECT watermark FROM {s}.run WHERE step = 'Index'") == 0
