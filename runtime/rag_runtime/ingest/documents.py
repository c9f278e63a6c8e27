"""Document rows and dead letters as sync reads and writes them. Every write follows `draw` in its transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from rag_runtime.ingest.parse import Parsed
from rag_runtime.ingest.store import Session

PAGE = 5000
"""Ids per page when all of a source's documents are walked."""
MAX_MESSAGE = 1000

DRAW = "SELECT {c}.draw(%s, %s)"
KNOWN = """SELECT path, id, deleted, validator, content_hash, extractor, media_type, uri FROM {s}.document
  WHERE source = %s AND path = ANY (%s)"""
VALIDATORS = "SELECT path, validator FROM {s}.document WHERE source = %s AND NOT deleted"
PRESENT = "SELECT id FROM {s}.document WHERE source = %s AND NOT deleted AND id > %s ORDER BY id LIMIT %s"
ORPHANED = "SELECT id FROM {s}.document WHERE source <> ALL (%s) AND NOT deleted ORDER BY id LIMIT %s"
MISSTATED = """SELECT id FROM {s}.document WHERE source = %s AND NOT deleted
  AND (metadata, acl, expires_at) IS DISTINCT FROM (%s::jsonb, %s::text[], %s::timestamptz) ORDER BY id LIMIT %s"""
UPSERT = """INSERT INTO {s}.document AS known (source, path, seq, validator, content_hash, extractor, media_type, uri,
    title, text, sections, metadata, acl, expires_at)
  SELECT %s::text, d.path, %s + d.ord, d.validator, d.content_hash, d.extractor, d.media_type, d.uri, d.title, d.text,
    d.sections::jsonb, %s::jsonb, %s::text[], %s::timestamptz
  FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
      %s::text[]) WITH ORDINALITY
    d (path, validator, content_hash, extractor, media_type, uri, title, text, sections, ord)
  ON CONFLICT (source, path) DO UPDATE SET seq = excluded.seq, deleted = false, validator = excluded.validator,
    content_hash = excluded.content_hash, extractor = excluded.extractor, media_type = excluded.media_type,
    uri = excluded.uri, title = excluded.title, text = excluded.text, sections = excluded.sections,
    metadata = excluded.metadata, acl = excluded.acl, expires_at = excluded.expires_at, changed_at = now()
  RETURNING id"""
REFRESH = """UPDATE {s}.document d SET validator = x.validator FROM unnest(%s::bigint[], %s::text[]) x (id, validator)
  WHERE d.id = x.id AND d.validator IS DISTINCT FROM x.validator"""
TOMBSTONE = "SELECT {c}.tombstone(%s, %s)"
RESTATE = "SELECT {c}.restate(%s, %s)"

LETTERS = """SELECT path, validator FROM {c}.dead_letter
  WHERE tenant = %s AND source = %s AND step = 'Sync' AND path = ANY (%s)"""
POST = """INSERT INTO {c}.dead_letter AS known (tenant, source, path, step, reason, message, validator)
  SELECT %s::uuid, f.source, f.path, %s, f.reason, f.message, f.validator
  FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[]) f (source, path, reason, message, validator)
  ON CONFLICT (tenant, source, path, step) DO UPDATE SET reason = excluded.reason, message = excluded.message,
    validator = excluded.validator, attempts = known.attempts + 1, last_at = now()"""
LETTER_VALIDATORS = """UPDATE {c}.dead_letter l SET validator = x.validator
  FROM unnest(%s::text[], %s::text[]) x (path, validator)
  WHERE l.tenant = %s AND l.source = %s AND l.step = 'Sync' AND l.path = x.path"""
SETTLED = "DELETE FROM {c}.dead_letter WHERE tenant = %s AND source = %s AND step = 'Sync' AND path = ANY (%s)"
VANISHED_LETTERS = """DELETE FROM {c}.dead_letter
  WHERE tenant = %s AND source = %s AND step = 'Sync' AND path <> ALL (%s)"""
STRAY_LETTERS = """DELETE FROM {c}.dead_letter l WHERE tenant = %s AND (source <> ALL (%s) OR step = 'Index'
  AND NOT EXISTS (SELECT FROM {s}.document d WHERE d.source = l.source AND d.path = l.path AND NOT d.deleted))"""


@dataclass(frozen=True, slots=True)
class Known:
    """What the database has of a listed document."""

    id: int
    deleted: bool
    validator: str | None
    content_hash: str
    extractor: str
    media_type: str
    uri: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A document that was parsed anew."""

    path: str
    uri: str
    validator: str | None
    content_hash: str
    extractor: str
    parsed: Parsed
    added: bool

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory."""
        return 4 * len(self.parsed.text) + 200 * len(self.parsed.sections) + 1000


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that can't be had or read. `validator` None: worth another try at the next run."""

    source: str
    path: str
    reason: str
    message: str
    validator: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the tenant's spec states of every document of a source, whatever the document says."""

    metadata: dict[str, str]
    acl: list[str]
    expires_at: datetime | None = None


async def known(session: Session, source: str, paths: Sequence[str]) -> dict[str, Known]:
    """By path, the rows of those paths, tombstones included."""
    return {row[0]: Known(*row[1:]) for row in await session.rows(KNOWN, [source, list(paths)])}


async def validators(session: Session, source: str) -> dict[str, str | None]:
    """By path, the validators of all documents of a source."""
    return {row[0]: row[1] for row in await session.rows(VALIDATORS, [source])}


async def letters(session: Session, source: str, paths: Sequence[str]) -> dict[str, str | None]:
    """By path, the validators of Sync's dead letters."""
    rows = await session.rows(LETTERS, [session.tenant_id, source, list(paths)])
    return {row[0]: row[1] for row in rows}


async def upsert(session: Session, source: str, facts: Facts, changed: Sequence[Changed], drawn: int) -> list[int]:
    """Write documents and give their ids; their numbers are the last `len(changed)` up to `drawn`."""
    columns = [
        [d.path for d in changed],
        [d.validator for d in changed],
        [d.content_hash for d in changed],
        [d.extractor for d in changed],
        [d.parsed.media_type for d in changed],
        [d.uri for d in changed],
        [d.parsed.title for d in changed],
        [d.parsed.text for d in changed],
        [sections_to_json(d.parsed) for d in changed],
    ]
    stated = [Jsonb(facts.metadata), facts.acl, facts.expires_at]
    rows = await session.rows(UPSERT, [source, drawn - len(changed), *stated, *columns], deadline=120)
    return [row[0] for row in rows]


def sections_to_json(parsed: Parsed) -> str:
    """Sections as stored: `[[heading path, start, end], …]`."""
    return json.dumps([[s.heading_path, s.start, s.end] for s in parsed.sections], ensure_ascii=False)


async def restate_source(session: Session, source: str, facts: Facts, fence: int, limit: int) -> int:
    """Give the next documents of a source whose metadata, ACL or expiry differ those of its spec; how many there were.

    Reaches the chunks of every live revision in the same transaction, without a parse or an embedding.
    """
    wanted = [Jsonb(facts.metadata), facts.acl, facts.expires_at]
    ids = [row[0] for row in await session.rows(MISSTATED, [source, *wanted, limit])]
    if ids:
        expires = facts.expires_at.isoformat() if facts.expires_at else None
        stated = {"metadata": facts.metadata, "acl": facts.acl, "expiresAt": expires}
        async with session.transaction():
            await session.rows(RESTATE, [fence, Jsonb([{"id": one, **stated} for one in ids])], deadline=300)
    return len(ids)


async def tombstone(session: Session, ids: Sequence[int], fence: int) -> None:
    """Delete documents and their chunks in every live revision, in one transaction."""
    async with session.transaction():
        await session.rows(TOMBSTONE, [fence, list(ids)], deadline=300)


async def post(session: Session, step: str, failures: Sequence[Failure]) -> None:
    """Write dead letters, or count another attempt of those that are there."""
    columns = [
        [f.source for f in failures],
        [f.path for f in failures],
        [f.reason for f in failures],
        [f.message.replace("\0", "\ufffd")[:MAX_MESSAGE] for f in failures],
        [f.validator for f in failures],
    ]
    await session.rows(POST, [session.tenant_id, step, *columns])


async def settle(session: Session, source: str, paths: Iterable[str]) -> None:
    """Remove dead letters of documents that were read after all."""
    await session.rows(SETTLED, [session.tenant_id, source, list(paths)])
