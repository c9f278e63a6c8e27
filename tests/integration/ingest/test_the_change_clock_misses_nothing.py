"""DATA §3, change clock: a number that commits after a greater one was read is never indexed."""

from __future__ import annotations

import asyncio
import random

from rag_runtime.ingest import documents, revisions
from rag_runtime.ingest.documents import Changed, Facts
from rag_runtime.ingest.leases import Holder, LeaseKey
from rag_runtime.ingest.parse import Parsed
from rag_runtime.ingest.revisions import Shard
from rag_runtime.ingest.store import Session
from tests.integration.ingest.harness import Desk

WRITERS, BATCHES, DOCUMENTS = 4, 12, 5


def _changed(path: str) -> Changed:
    return Changed(path, path, None, path, "text/1", Parsed(path, path, "text/plain", ()), added=True)


async def _write(session: Session, writer: int, fence: int) -> None:
    chance = random.Random(writer)
    for batch in range(BATCHES):
        async with session.transaction():
            drawn = await session.value(documents.DRAW, [DOCUMENTS, fence])
            changed = [_changed(f"{writer}-{batch}-{i}") for i in range(DOCUMENTS)]
            await documents.upsert(session, "s", Facts({}, ["*"]), changed, drawn)
            await asyncio.sleep(chance.random() / 100)  # the commit comes late: the order of numbers is all that counts


async def test_a_reader_that_follows_its_watermark_sees_every_row_of_concurrent_writers(desk: Desk) -> None:
    store = desk.store
    seen: list[str] = []
    async with store.session() as reader, asyncio.timeout(60):
        lease = await Holder("one", 60).take(reader, LeaseKey("Sync"))
        assert lease is not None

        async def follow() -> None:
            watermark = 0
            while len(seen) < WRITERS * BATCHES * DOCUMENTS:
                clock = await reader.value(revisions.CLOCK)
                if clock == watermark:
                    await asyncio.sleep(0.001)
                    continue
                while rows := await revisions.read(reader, watermark, clock, Shard()):
                    seen.extend(row.path for row in rows)
                    watermark = rows[-1].seq

        async def write(writer: int) -> None:
            async with store.session() as session:
                await _write(session, writer, lease.epoch)

        await asyncio.gather(follow(), *(write(i) for i in range(WRITERS)))
    assert sorted(seen) == sorted(row[0] for row in desk.rows("SELECT path FROM {s}.document"))
    assert len(set(seen)) == WRITERS * BATCHES * DOCUMENTS
    numbers = [row[0] for row in desk.rows("SELECT seq FROM {s}.document ORDER BY seq")]
    assert numbers == list(range(1, WRITERS * BATCHES * DOCUMENTS + 1)), "numbers are gapless and unique"


async def test_shards_read_disjoint_documents_that_are_all_of_them(desk: Desk) -> None:
    desk.write(**{f"d{i}": f"text {i}" for i in range(9)})
    await desk.run()
    async with desk.store.session() as session:
        parts = [await revisions.read(session, 0, 100, Shard(i, 4)) for i in range(4)]
    assert sorted(row.id for part in parts for row in part) == sorted(
        row[0] for row in desk.rows("SELECT id FROM {s}.document")
    )
    assert all(row.id % 4 == i for i, part in enumerate(parts) for row in part)
