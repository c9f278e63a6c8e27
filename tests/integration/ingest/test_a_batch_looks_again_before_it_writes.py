"""DATA §3: chunks don't come back after a delete during a slow embedding call, and who may read is of today."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rag_runtime.ingest import documents, revisions
from rag_runtime.ingest.batches import Batch
from rag_runtime.ingest.leases import Holder, LeaseKey
from rag_runtime.ingest.parse import Sandbox
from rag_runtime.ingest.report import Counts
from rag_runtime.ingest.sync import Sync
from tests.integration.ingest.harness import Desk, other, until


async def _sync(desk: Desk) -> Counts:
    """A sync of its own, as a later scheduled run does it while the first one embeds."""
    counts = Counts()
    async with desk.store.session() as session, Sandbox() as sandbox:
        holder = Holder("another", 60)
        lease = await holder.take(session, LeaseKey("Sync"))
        assert lease is not None
        sync = Sync(desk.config, session, lease.epoch, sandbox, counts, lambda: None)
        await holder.hold(desk.store, lease, sync.run())
    return counts


def _once(desk: Desk, meanwhile: Callable[[], Awaitable[object]]) -> None:
    """Do `meanwhile` during the first embedding call."""

    async def before(texts: object) -> None:
        desk.embedder.before = None
        await meanwhile()

    desk.embedder.before = before


async def test_a_document_deleted_during_embedding_does_not_come_back(desk: Desk) -> None:
    desk.write(stays="stays", goes="goes away")

    async def meanwhile() -> None:
        desk.remove("goes")
        assert (await _sync(desk)).deleted == 1

    _once(desk, meanwhile)
    await desk.run()
    assert [chunk[0] for chunk in desk.chunks()] == ["stays.md"]
    await desk.run()
    assert [chunk[0] for chunk in desk.chunks()] == ["stays.md"]


async def test_a_document_that_changes_during_embedding_is_written_in_its_new_version_only(desk: Desk) -> None:
    desk.write(page="the old words")
    written_before: list[object] = []

    async def look(texts: object) -> None:
        written_before.extend(desk.chunks())

    async def meanwhile() -> None:
        desk.write(page="the new words, longer")
        assert (await _sync(desk)).updated == 1
        desk.embedder.before = look

    _once(desk, meanwhile)
    await desk.run()
    await desk.run()
    assert written_before == []
    assert [chunk[2] for chunk in desk.chunks()] == ["the new words, longer"]
    assert "the old words" in desk.embedder.texts


async def test_an_acl_that_changes_during_embedding_is_the_one_that_is_written(desk: Desk) -> None:
    desk.write(page="a secret")

    async def meanwhile() -> None:
        desk.configure_source(acl=["legal"], metadata={"team": "legal"})
        assert (await _sync(desk)).updated == 1

    _once(desk, meanwhile)
    await desk.run()
    assert desk.rows("SELECT acl, metadata FROM {s}.chunk_r1") == [(["legal"], {"team": "legal"})]


async def test_an_acl_change_reaches_every_live_revision_without_embedding(desk: Desk) -> None:
    desk.write(page="a secret")
    await desk.run()
    desk.promote(1)
    desk.configure(shape=other())
    await desk.run()
    desk.configure(shape=other(document_prefix="third: "))
    await desk.run()
    embedded = len(desk.embedder.texts)
    assert embedded == 3
    desk.rows("UPDATE {s}.revision SET state = 'Retained' WHERE number = 2")
    desk.rows("UPDATE {s}.revision SET state = 'Building' WHERE number = 3")
    desk.configure_source(acl=["legal"])
    assert (await _sync(desk)).updated == 1
    for revision in (1, 2, 3):
        assert desk.one(f"SELECT acl FROM {{s}}.chunk_r{revision}") == ["legal"]
    assert len(desk.embedder.texts) == embedded


async def test_an_acl_change_with_a_content_change_hides_the_old_content_at_once(desk: Desk) -> None:
    desk.write(page="public words")
    await desk.run()
    desk.promote()
    desk.write(page="confidential words")
    desk.configure_source(acl=["legal"])
    await _sync(desk)
    assert desk.rows("SELECT text, acl FROM {s}.chunk_r1") == [("public words", ["legal"])]


async def test_an_acl_change_reaches_the_documents_of_a_source_that_is_down(desk: Desk) -> None:
    desk.write(page="words")
    await desk.run()
    desk.folder.rename(desk.folder.with_name("away"))
    desk.configure_source(acl=["legal"])
    counts = await _sync(desk)
    assert list(counts.unavailable) == ["docs"]
    assert desk.one("SELECT acl FROM {s}.chunk_r1") == ["legal"]


async def test_sync_and_index_of_the_serving_revision_never_deadlock(desk: Desk) -> None:
    """Both want the pointer and the document: with another order each would hold what the other waits for."""
    desk.write(page="words")
    await desk.run()
    desk.promote()
    desk.write(page="other words, more")
    await _sync(desk)
    async with desk.store.session() as index, desk.store.session() as sync:
        lease = await Holder("index", 60).take(index, LeaseKey("Index", 1))
        fence = await Holder("sync", 60).take(sync, LeaseKey("Sync"))
        assert lease is not None
        assert fence is not None
        (document,) = await revisions.read(index, lease.watermark, 100, revisions.Shard())
        batch = Batch(lease.watermark, document.seq, [])
        async with index.transaction():
            await index.rows(revisions.BEGIN, [1, 0, lease.epoch])
            await index.rows(revisions.LOCK, [[document.id]])
            deleting = asyncio.create_task(documents.tombstone(sync, [document.id], fence.epoch))
            await until(lambda: bool(desk.rows("SELECT 1 FROM pg_locks WHERE NOT granted")))
            await index.rows(revisions.REPLACE, [1, [document.id]])
            await index.rows(revisions.COMMIT, [1, 0, lease.epoch, batch.since, batch.upto, [document.id]])
        await asyncio.wait_for(deleting, 10)
    assert desk.chunks() == []
