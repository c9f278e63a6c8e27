"""Index: from documents past a revision's watermark to chunks with embeddings, batch by batch, under a lease.

Reading, chunking and embedding hold no lock; `batches` writes what came of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field

from rag_runtime.ingest import batches, revisions
from rag_runtime.ingest.batches import Batch, Piece, Result
from rag_runtime.ingest.chunk import chunk
from rag_runtime.ingest.embedding import PatientEmbedder
from rag_runtime.ingest.leases import Holder, Lease, LeaseKey
from rag_runtime.ingest.report import Counts, ProgressLine, Reporter
from rag_runtime.ingest.revisions import Document, Revision, Shard
from rag_runtime.ingest.store import Session, Store
from rag_runtime.logs import fields
from rag_runtime.models.tokenizer import Tokenizer

log = logging.getLogger(__name__)

FEWEST_CHUNKS = 64
MOST_CHUNKS = 1024
"""Bounds of a batch, which ends with a document: round trips are spread over it, and a crash costs its embeddings."""
BATCH_SECONDS = 5.0
"""Of embedding that a batch should take between those bounds: 128 chunks with the built-in embedder."""
INDEXED = frozenset({"Ready", "Active", "Retained"})


@dataclass(frozen=True, slots=True)
class Tools:
    """What all indexers of a run share."""

    store: Store
    holder: Holder
    tokenizer: Tokenizer
    counts: Counts
    line: ProgressLine
    shard: Shard = field(default_factory=Shard)


@dataclass(frozen=True, slots=True)
class Indexer:
    """Brings one shard of one revision up to the change clock, and builds the revision's indexes once it is."""

    tools: Tools
    session: Session
    reporter: Reporter
    revision: Revision
    embedder: PatientEmbedder

    async def run(self) -> bool:
        """Catch up, build, finish; False when another live run is at it. Writes nothing when there is nothing to do."""
        tools = self.tools
        key = LeaseKey("Index", self.revision.number, tools.shard.index)
        if await self._is_current(key):
            return True
        lease = await tools.holder.take(self.session, key)
        if lease is None:
            log.info("another run indexes this revision", extra=fields(revision=self.revision.number))
            return False
        await tools.holder.hold(tools.store, lease, self._advance(lease))
        return True

    async def _is_current(self, key: LeaseKey) -> bool:
        watermark = await self.session.value(revisions.WATERMARK, [key.revision, key.shard])
        clock = await self.session.value(revisions.CLOCK)
        done = self.revision.built and self.revision.state in INDEXED
        return done and watermark is not None and bool(watermark >= clock)

    async def _advance(self, lease: Lease) -> None:
        number = self.revision.number
        watermark = await self._catch_up(lease, lease.watermark)
        current = await revisions.by_number(self.session, number)
        if not current.built and await self._others_are_done(watermark):
            log.info("building the index", extra=fields(revision=number))
            await revisions.build(self.session, number)
            watermark = await self._catch_up(lease, watermark)
        if self.tools.shard.index == 0:
            await revisions.finish(self.session, lease)
            log.info("the revision is up to date", extra=fields(revision=number, watermark=watermark))

    async def _others_are_done(self, watermark: int) -> bool:
        """Shard 0 builds, once all shards have read as far as it has."""
        if self.tools.shard.index != 0:
            return False
        reached = await self.session.value(revisions.REACHED, [self.revision.number, watermark])
        return bool(reached >= self.tools.shard.count)

    async def _catch_up(self, lease: Lease, watermark: int) -> int:
        """Index all that changed after `watermark`; the new one. A batch is written while the next is embedded."""
        clock = int(await self.session.value(revisions.CLOCK))
        letters = await revisions.letters(self.session)
        limit = min(FEWEST_CHUNKS, MOST_CHUNKS)
        ready: tuple[Batch, list[Result]] | None = None
        while True:
            batch = await self._read(ready[0].upto if ready else watermark, clock, limit)
            embedding = asyncio.create_task(self._embed(batch)) if batch else None
            try:
                if ready is not None:
                    await batches.write(self.session, lease, *ready, letters)
                    watermark = ready[0].upto
                    await self._tell(watermark)
                if batch is None or embedding is None:
                    break
                shared, seconds = await embedding
                ready = batch, shared
                limit = self._limit(sum(len(piece.chunks) for piece in batch.pieces), seconds)
            finally:
                if embedding is not None:
                    embedding.cancel()
                    await asyncio.gather(embedding, return_exceptions=True)
        if watermark < clock:  # what is left belongs to other shards
            await batches.write(self.session, lease, Batch(watermark, clock, []), [], letters)
        return max(watermark, clock)

    def _limit(self, chunks: int, seconds: float) -> int:
        """Chunks of the next batch, from how fast the last was embedded."""
        wanted = int(chunks / max(seconds, 0.001) * BATCH_SECONDS)
        return min(max(wanted, FEWEST_CHUNKS), MOST_CHUNKS)

    async def _read(self, after: int, clock: int, limit: int) -> Batch | None:
        """The next documents, chunked, until the batch has `limit` chunks."""
        pieces: list[Piece] = []
        total = 0
        for document in await revisions.read(self.session, after, clock, self.tools.shard):
            pieces.append(await asyncio.to_thread(self._chunk, document))
            total += len(pieces[-1].chunks)
            if total >= limit:
                break
        return Batch(after, pieces[-1].document.seq, pieces) if pieces else None

    def _chunk(self, document: Document) -> Piece:
        if document.deleted:
            return Piece(document, [])
        try:
            return Piece(document, chunk(document.parsed, self.revision.shape.chunking, self.tools.tokenizer))
        except Exception as error:  # boundary: one document; whatever it breaks, the run goes on
            log.warning("a document could not be chunked", exc_info=error)
            return Piece(document, [], f"chunking it failed ({type(error).__name__}); report it")

    async def _embed(self, batch: Batch) -> tuple[list[Result], float]:
        """What is to be written of a batch, and how many seconds its embedding took."""
        begun = time.monotonic()
        shared = batches.results(batch, await self.embedder.embed(batch.texts()))
        seconds = time.monotonic() - begun
        for failure in batches.failures(shared):
            self.tools.counts.refused.add((failure.source, failure.path))
            log.warning("a document failed: %s", failure.message, extra=fields(source=failure.source))
        return shared, seconds

    async def _tell(self, watermark: int) -> None:
        """Progress, for a person at once and for the operator at intervals."""
        revision = self.revision
        due = revision.state == "Building" and self.reporter.due()
        if due or self.tools.line.shown:
            done, total = (await self.session.rows(revisions.PROGRESS, [watermark]))[0]
            embedded = self.tools.counts.embedded
            self.tools.line.show(f"revision {revision.number}: {done}/{total} documents, {embedded} chunks embedded")
            if due:
                await self.reporter.building(revision.number, done, total)
