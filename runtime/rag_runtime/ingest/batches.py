"""The transaction that writes a batch of chunks, right whatever happened since its documents were read (DATA §3).

It locks the documents and leaves out those whose number is no longer the one that was read: they changed or were
deleted meanwhile, and their newer number comes later. Who may read the others is taken from that fresh look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rag_runtime.ingest import copying, documents, revisions
from rag_runtime.ingest.chunk import Chunk
from rag_runtime.ingest.copying import Owner, Rows
from rag_runtime.ingest.documents import Failure
from rag_runtime.ingest.embedding import Embedded
from rag_runtime.ingest.leases import Lease
from rag_runtime.ingest.revisions import Document
from rag_runtime.ingest.store import Session

Letters = frozenset[tuple[str, str]]
"""(source, path) of dead letters."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A document of a batch with its chunks; `problem` says why it could not be chunked."""

    document: Document
    chunks: list[Chunk]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents with since < seq ≤ upto, read and chunked."""

    since: int
    upto: int
    pieces: list[Piece]

    def texts(self) -> list[str]:
        """All chunks' texts in order."""
        return [chunk.text for piece in self.pieces for chunk in piece.chunks]


@dataclass(frozen=True, slots=True)
class Result:
    """What of one document is to be written. `refused` counts the chunks that the embedder refuses, `why` says why."""

    piece: Piece
    chunks: list[Chunk]
    embeddings: copying.Encoded
    refused: int
    why: str

    @property
    def lost(self) -> bool:
        """Nothing of it can be indexed: what was indexed of it before stays."""
        return bool(self.why) and not self.chunks


def results(batch: Batch, embedded: Embedded) -> list[Result]:
    """Share a batch's embeddings out among its documents. Tombstones have none: their chunks went with the delete."""
    row = {text: i for i, text in enumerate(embedded.kept)}
    shared: list[Result] = []
    first = 0
    for piece in batch.pieces:
        indices = range(first, first + len(piece.chunks))
        first += len(piece.chunks)
        if piece.document.deleted:
            continue
        kept = [i for i in indices if i in row]
        problems = [embedded.refused[i] for i in indices if i in embedded.refused]
        chunks = [piece.chunks[i - indices.start] for i in kept]
        picked = embedded.encoded[np.array([row[i] for i in kept], np.intp)]
        shared.append(Result(piece, chunks, picked, len(problems), piece.problem or "".join(problems[:1])))
    return shared


def failures(shared: Sequence[Result]) -> list[Failure]:
    """The dead letters of a batch."""
    letters = []
    for one in (result for result in shared if result.why):
        document = one.piece.document
        part = f"{one.refused} of its {len(one.piece.chunks)} chunks are refused: " if one.refused else ""
        reason = "EmbeddingRefused" if one.refused else "Unchunkable"
        letters.append(Failure(document.source, document.path, reason, f"{document.path}: {part}{one.why}"))
    return letters


async def write(
    session: Session, lease: Lease, batch: Batch, shared: Sequence[Result], letters: Letters = frozenset()
) -> None:
    """Commit a batch. Raises Superseded when the lease was lost or the watermark is not where it was.

    `letters`: the index's dead letters so far; those of documents that are written now are removed.
    """
    revision, shard = lease.key.revision, lease.key.shard
    async with session.transaction():
        await session.rows(revisions.BEGIN, [revision, shard, lease.epoch])
        rows = await _current(session, [one for one in shared if not one.lost])
        ids = [one.owner.id for one in rows]
        removed = (await session.rows(revisions.REPLACE, [revision, ids]))[0][0] if ids else 0
        if any(one.chunks for one in rows):
            await session.copy_in(copying.COPY, copying.stream(rows), revision=revision)
        await _write_letters(session, shared, letters)
        changed = ids if removed or any(one.chunks for one in rows) else []
        params = [revision, shard, lease.epoch, batch.since, batch.upto, changed]
        await session.rows(revisions.COMMIT, params, deadline=120)


async def _current(session: Session, wanted: Sequence[Result]) -> list[Rows]:
    """Lock the documents; rows of those that are still what was read, with their metadata and ACL of now."""
    if not wanted:
        return []
    by_id = {one.piece.document.id: one for one in wanted}
    current = []
    for number, seq, deleted, metadata, acl, expires_at in await session.rows(revisions.LOCK, [list(by_id)]):
        one = by_id[number]
        document = one.piece.document
        if seq == document.seq and not deleted:
            place = (document.id, document.parsed.title, document.uri, document.source, document.path)
            current.append(Rows(Owner(*place, metadata, acl, expires_at), one.chunks, one.embeddings))
    return current


async def _write_letters(session: Session, shared: Sequence[Result], letters: Letters) -> None:
    if failed := failures(shared):
        await documents.post(session, "Index", failed)
    fine = [one.piece.document for one in shared if not one.why]
    fine = [document for document in fine if (document.source, document.path) in letters]
    if fine:
        columns = [d.source for d in fine], [d.path for d in fine]
        await session.rows(revisions.SETTLED, [session.tenant_id, *columns])
