"""Indexed documents laid through the contract's SQL functions, as ingestion lays them, with real vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rag_runtime.contract.config import EVERYONE, IndexShape
from rag_runtime.contract.names import TenantNames
from rag_runtime.models.ports import Vectors
from tests.support.catalog import PASSWORD, TestCatalog

_DOCUMENT = """
INSERT INTO {s}.document (source, path, seq, content_hash, extractor, media_type, uri, title, text, acl, expires_at)
VALUES ('s', %s, %s, 'h', 'e', 'text/plain', %s, %s, %s, %s, %s) RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Doc:
    """A document of one passage."""

    path: str
    text: str
    title: str = ""
    acl: tuple[str, ...] = (EVERYONE,)
    expires_at: datetime | None = None


def as_ingestion(catalog: TestCatalog, tenant: TenantNames) -> psycopg.Connection[tuple[object, ...]]:
    """A connection as the tenant's ingestion."""
    return psycopg.connect(make_conninfo(catalog.dsn, user=tenant.ingestion, password=PASSWORD), autocommit=True)


def lay_documents(catalog: TestCatalog, tenant: TenantNames, docs: Sequence[Doc]) -> list[int]:
    """Sync: the documents' rows; their ids."""
    c, ids = catalog.names.schema, []
    with as_ingestion(catalog, tenant) as db, db.transaction():
        epoch = _one(db, f"SELECT epoch FROM {c}.take('Sync', 0, 0, 'test', '1 min')")
        last = _one(db, f"SELECT {c}.draw(%s, %s)", len(docs), epoch)
        for seq, doc in enumerate(docs, start=last - len(docs) + 1):
            values = (doc.path, seq, f"file:///{doc.path}", doc.title, doc.text, list(doc.acl), doc.expires_at)
            ids.append(_one(db, _DOCUMENT.format(s=tenant.schema), *values))
    return ids


def lay_revision(
    catalog: TestCatalog, tenant: TenantNames, shape: IndexShape, docs: Sequence[Doc], vectors: Vectors
) -> int:
    """Sync and index: a built revision of `docs`, with one passage each; its number. It is not promoted."""
    ids = lay_documents(catalog, tenant, docs)
    c = catalog.names.schema
    with as_ingestion(catalog, tenant) as db:
        revision = _one(db, f"SELECT {c}.create_revision(%s::jsonb, %s)", shape.canonical(), shape.spec_hash)
        epoch = _one(db, f"SELECT epoch FROM {c}.take('Index', %s, 0, 'test', '1 min')", revision)
        with db.transaction():
            db.execute(f"SELECT {c}.begin_batch(%s, 0, %s)", [revision, epoch])
            copy_passages(db, tenant, revision, ids, docs, vectors)
            upto = _one(db, f"SELECT max(seq) FROM {tenant.schema}.document")
            db.execute(f"SELECT {c}.commit_batch(%s, 0, %s, 0, %s, %s)", [revision, epoch, upto, ids])
        db.execute(f"SELECT {c}.build_index(%s)", [revision])
        db.execute(f"SELECT {c}.finish(%s, %s)", [revision, epoch])
    return revision


def add_documents(
    catalog: TestCatalog, tenant: TenantNames, revision: int, docs: Sequence[Doc], vectors: Vectors
) -> None:
    """A later run: more documents in a built revision, which moves the index version when it serves."""
    ids = lay_documents(catalog, tenant, docs)
    c = catalog.names.schema
    with as_ingestion(catalog, tenant) as db:
        epoch, since = db.execute(
            f"SELECT epoch, watermark FROM {c}.take('Index', %s, 0, 'test', '1 min')", [revision]
        ).fetchall()[0]
        with db.transaction():
            db.execute(f"SELECT {c}.begin_batch(%s, 0, %s)", [revision, epoch])
            copy_passages(db, tenant, revision, ids, docs, vectors)
            upto = _one(db, f"SELECT max(seq) FROM {tenant.schema}.document")
            db.execute(f"SELECT {c}.commit_batch(%s, 0, %s, %s, %s, %s)", [revision, epoch, since, upto, ids])


def copy_passages(
    db: psycopg.Connection[tuple[object, ...]],
    tenant: TenantNames,
    revision: int,
    ids: Sequence[int],
    docs: Sequence[Doc],
    vectors: Vectors,
) -> None:
    """One chunk a document."""
    columns = "document, ordinal, text, heading, title, uri, source, path, tokens, metadata, acl, expires_at, embedding"
    statement = sql.SQL("COPY {}.{} ({}) FROM STDIN").format(
        sql.Identifier(tenant.schema), sql.Identifier(f"chunk_r{revision}"), sql.SQL(columns)
    )
    with db.cursor() as cursor, cursor.copy(statement) as copy:
        for number, doc, vector in zip(ids, docs, vectors, strict=True):
            place = (doc.title, f"file:///{doc.path}", "s", doc.path)
            rest = (9, "{}", list(doc.acl), doc.expires_at, literal(vector))
            copy.write_row((number, 0, doc.text, "", *place, *rest))


def literal(vector: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> str:
    """pgvector's text form."""
    return "[" + ",".join(f"{number:.6g}" for number in vector.tolist()) + "]"


def _one(db: psycopg.Connection[tuple[object, ...]], statement: str, *values: object) -> int:
    row = db.execute(statement.encode(), values).fetchone()
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]
