"""A tenant in a real catalog with a folder of documents, and runs of ingestion over it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

import numpy as np
from psycopg import sql

from rag_runtime.contract.config import (
    Chunking,
    Database,
    DirectorySource,
    EmbeddingCalls,
    EmbeddingProfile,
    IndexShape,
    IngestConfig,
    SourceConfig,
)
from rag_runtime.contract.names import TenantNames
from rag_runtime.ingest.run import Run
from rag_runtime.ingest.store import Store
from rag_runtime.models.ports import DocumentEmbedder, Vectors
from tests.support.catalog import TestCatalog

DIMENSIONS = 16
SHAPE = IndexShape(
    profile=EmbeddingProfile(model="hashed", dimensions=DIMENSIONS), chunking=Chunking(size=40, overlap=0)
)


def other(shape: IndexShape = SHAPE, **profile: Any) -> IndexShape:
    """A shape that makes another revision."""
    return shape.model_copy(update={"profile": shape.profile.model_copy(update={"model": "hashed-2", **profile})})


@dataclass(slots=True)
class HashEmbedder:
    """Vectors from a text's hash. `before` is awaited before each call: a hook into the middle of an embedding."""

    dimensions: int = DIMENSIONS
    before: Callable[[Sequence[str]], Any] | None = None
    texts: list[str] = field(default_factory=list)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector a text, normalised."""
        if self.before is not None:
            await self.before(texts)
        self.texts.extend(texts)
        rows = [self._vector(text) for text in texts]
        return np.stack(rows) if rows else np.empty((0, self.dimensions), np.float32)

    def _vector(self, text: str) -> Vectors:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        vector = np.random.default_rng(seed).standard_normal(self.dimensions).astype(np.float32)
        result: Vectors = vector / np.linalg.norm(vector)
        return result

    async def close(self) -> None:
        """Nothing is held."""


@dataclass(slots=True)
class Desk:
    """One tenant's documents, configuration and database."""

    catalog: TestCatalog
    tenant: TenantNames
    database: Database
    folder: Path
    config: IngestConfig
    embedder: HashEmbedder = field(default_factory=HashEmbedder)
    last: Run | None = None

    def write(self, **documents: str) -> None:
        """Documents by name, as Markdown files."""
        for name, text in documents.items():
            (self.folder / f"{name}.md").write_text(text)

    def remove(self, *names: str) -> None:
        """Delete Markdown files."""
        for name in names:
            (self.folder / f"{name}.md").unlink()

    def configure(self, **changes: Any) -> None:
        """Change fields of the configuration."""
        self.config = self.config.model_copy(update=changes)

    def configure_source(self, **changes: Any) -> None:
        """Change fields of the first source."""
        first = self.config.sources[0].model_copy(update=changes)
        self.configure(sources=[first, *self.config.sources[1:]])

    def open_embedder(self, profile: EmbeddingProfile, calls: EmbeddingCalls) -> DocumentEmbedder:
        """The test's embedder, whatever the profile's model."""
        if profile.dimensions == self.embedder.dimensions:
            return self.embedder
        return HashEmbedder(profile.dimensions)

    def new_run(self) -> Run:
        """A run that has not begun."""
        self.last = Run(self.config, f"test-{uuid4().hex[:8]}", opener=self.open_embedder)
        return self.last

    async def run(self, expected: int = 0) -> dict[str, int]:
        """One run from the start to its end; its counters."""
        run = self.new_run()
        code = await run.run()
        assert code == expected, run.counts
        return run.counts.numbers()

    @property
    def store(self) -> Store:
        """The ingestion login's way to the database."""
        return Store(self.database, self.tenant.schema, str(self.tenant.incarnation))

    def rows(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        """Rows as the owner sees them; `{c}` and `{s}` are the catalog's and the tenant's schema."""
        with self.catalog.connect() as owner:
            filled = statement.format(c=self.catalog.names.schema, s=self.tenant.schema)
            cursor = owner.execute(sql.SQL(filled), params)
            return cursor.fetchall() if cursor.description else []

    def one(self, statement: str, *params: object) -> Any:
        """The first column of the only row."""
        (row,) = self.rows(statement, *params)
        return row[0]

    def promote(self, revision: int = 1) -> None:
        """Make a revision the serving one."""
        self.catalog.promote(self.tenant.incarnation, revision)

    def version(self) -> tuple[int, str]:
        """The index version: counter and token."""
        (row,) = self.rows("SELECT version, token FROM {c}.pointer WHERE tenant = %s", self.tenant.incarnation)
        return row[0], row[1]

    def summary(self) -> dict[str, Any]:
        """What runs reported."""
        value: dict[str, Any] = self.one("SELECT summary FROM {c}.pointer WHERE tenant = %s", self.tenant.incarnation)
        return value

    def letters(self) -> dict[str, str]:
        """Dead letters: reason by path."""
        rows = self.rows("SELECT path, reason FROM {c}.dead_letter WHERE tenant = %s", self.tenant.incarnation)
        return {row[0]: row[1] for row in rows}

    def chunks(self, revision: int = 1) -> list[tuple[str, int, str]]:
        """(path, ordinal, text) of a revision in order."""
        statement = f"SELECT path, ordinal, text FROM {{s}}.chunk_r{revision} ORDER BY path, ordinal"
        return [(row[0], row[1], row[2]) for row in self.rows(statement)]


def make_desk(catalog: TestCatalog, home: Path, name: str = "acme") -> Desk:
    """A new tenant with an empty folder as its only source."""
    tenant = catalog.add_tenant(name)
    database = catalog.credentials(home / f"{name}-credentials", ingest=tenant.ingestion)
    folder = home / f"{name}-documents"
    folder.mkdir()
    config = IngestConfig(
        pipeline="rag/support",
        tenant=f"rag/{name}",
        tenant_id=str(tenant.incarnation),
        database=database,
        tenant_schema=tenant.schema,
        sources=[SourceConfig(name="docs", source=DirectorySource(root=PurePosixPath(folder)))],
        shape=SHAPE,
        lease_seconds=2,
    )
    return Desk(catalog, tenant, database, folder, config)


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Return when `condition` holds; TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in Postgres or another process
            await asyncio.sleep(0.02)
