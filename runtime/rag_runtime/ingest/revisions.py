"""Revisions and documents as index reads and writes them: named statements and the rows that they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rag_runtime.contract.config import IndexShape
from rag_runtime.ingest.leases import Lease
from rag_runtime.ingest.parse import Parsed, Section
from rag_runtime.ingest.store import BATCH_SECONDS, BUILD_SECONDS, Session

WINDOW_DOCUMENTS = 128
WINDOW_BYTES = 4 * 2**20
"""Of text that one read takes, unless a single document is larger."""

CREATE = "SELECT {c}.create_revision(%s::jsonb, %s)"
REVISION = "SELECT number, state, built, shape FROM {s}.revision WHERE number = %s"
ACTIVE = "SELECT number, state, built, shape FROM {s}.revision WHERE state = 'Active' ORDER BY number DESC LIMIT 1"
CLOCK = "SELECT coalesce(max(seq), 0) FROM {s}.document"
WATERMARK = "SELECT watermark FROM {s}.run WHERE step = 'Index' AND revision = %s AND shard = %s"
BEHIND = """SELECT id, seq, deleted, source, path, uri, title, media_type, text, sections FROM (
    SELECT *, sum(octet_length(text)) OVER (ORDER BY seq) - octet_length(text) AS before FROM {s}.document
    WHERE seq > %s AND seq <= %s AND id %% %s = %s ORDER BY seq LIMIT %s) d
  WHERE before < %s ORDER BY seq"""
LOCK = """SELECT id, seq, deleted, metadata, acl, expires_at FROM {s}.document WHERE id = ANY (%s)
  ORDER BY id FOR SHARE"""
REACHED = "SELECT count(*) FROM {s}.run WHERE step = 'Index' AND revision = %s AND watermark >= %s"
PROGRESS = "SELECT count(*) FILTER (WHERE seq <= %s), count(*) FROM {s}.document WHERE NOT deleted"
BEGIN = "SELECT {c}.begin_batch(%s, %s, %s)"
REPLACE = "SELECT {c}.replace_chunks(%s, %s)"
COMMIT = "SELECT {c}.commit_batch(%s, %s, %s, %s, %s, %s)"
BUILD = "SELECT {c}.build_index(%s)"
FINISH = "SELECT {c}.finish(%s, %s)"
TOMBSTONES = "SELECT EXISTS (SELECT FROM {s}.document WHERE deleted)"
COLLECT = "SELECT {c}.collect_tombstones()"
LETTERS = "SELECT source, path FROM {c}.dead_letter WHERE tenant = %s AND step = 'Index'"
SETTLED = """DELETE FROM {c}.dead_letter WHERE tenant = %s AND step = 'Index'
  AND (source, path) IN (SELECT * FROM unnest(%s::text[], %s::text[]))"""


@dataclass(frozen=True, slots=True)
class Shard:
    """The documents with id % count = index; (0, 1): all."""

    index: int = 0
    count: int = 1


@dataclass(frozen=True, slots=True)
class Revision:
    """A row of `revision`."""

    number: int
    state: str
    built: bool
    shape: IndexShape


@dataclass(frozen=True, slots=True)
class Document:
    """A document as read past a watermark."""

    id: int
    seq: int
    deleted: bool
    source: str
    path: str
    uri: str
    parsed: Parsed


async def create(session: Session, shape: IndexShape) -> Revision:
    """The live revision of this shape, made if there is none."""
    number = await session.value(CREATE, [shape.canonical(), shape.spec_hash])
    rows = await session.rows(REVISION, [number])
    return _revision(rows[0])


async def active(session: Session) -> Revision | None:
    """The revision that answers queries."""
    rows = await session.rows(ACTIVE)
    return _revision(rows[0]) if rows else None


async def by_number(session: Session, number: int) -> Revision:
    """A revision as it is now."""
    return _revision((await session.rows(REVISION, [number]))[0])


def _revision(row: Sequence[Any]) -> Revision:
    return Revision(row[0], row[1], row[2], IndexShape.model_validate(row[3]))


async def read(session: Session, after: int, upto: int, shard: Shard) -> list[Document]:
    """The next documents with after < seq ≤ upto in the order of their numbers, bounded in count and bytes."""
    bounds = [after, upto, shard.count, shard.index, WINDOW_DOCUMENTS, WINDOW_BYTES]
    rows = await session.rows(BEHIND, bounds, deadline=BATCH_SECONDS)
    return [Document(row[0], row[1], row[2], row[3], row[4], row[5], _parsed(row)) for row in rows]


def _parsed(row: Sequence[Any]) -> Parsed:
    sections = tuple(Section(tuple(path), start, end) for path, start, end in row[9])
    return Parsed(row[6], row[8], row[7], sections)


async def letters(session: Session) -> frozenset[tuple[str, str]]:
    """(source, path) of the index's dead letters."""
    return frozenset((row[0], row[1]) for row in await session.rows(LETTERS, [session.tenant_id]))


async def build(session: Session, revision: int) -> None:
    """Make the indexes of a loaded revision; minutes for millions of chunks. Nothing when they are there."""
    await session.rows(BUILD, [revision], deadline=BUILD_SECONDS)


async def finish(session: Session, lease: Lease) -> None:
    """Tell the operator: caught up and built. A Building revision becomes Ready."""
    await session.rows(FINISH, [lease.key.revision, lease.epoch], deadline=BATCH_SECONDS)
