"""Two tenants with documents of their own, and the configuration of a service that answers for both."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from uuid import uuid4

import pytest

from rag_runtime.caches import redis
from rag_runtime.contract.config import Cache, EmbeddingProfile, IndexShape, ServeConfig
from rag_runtime.contract.names import TenantNames
from rag_runtime.models.builtin import BuiltInEmbedder
from rag_runtime.models.ports import Vectors
from tests.integration.serve.laying import Doc, add_documents, lay_revision
from tests.support.catalog import TestCatalog

ACME = (
    Doc("pay.md", "Salaries are paid on the 25th of each month by bank transfer.", "Pay"),
    Doc("holiday.md", "Every employee has 30 days of paid holiday a year.", "Holidays"),
    Doc("secret.md", "The code name of the merger is Bluebird.", "Merger", acl=("board",)),
)
ROBOTS = (
    Doc("errors.md", "Error E1047 means that the spindle sensor is dirty; clean it with alcohol.", "Errors"),
    Doc("oil.md", "Change the gearbox oil after 2,000 hours of operation.", "Maintenance"),
)


def embed(texts: Sequence[str]) -> Vectors:
    """Vectors of documents by the built-in embedder, whether or not a loop runs here."""

    async def run() -> Vectors:
        embedder = BuiltInEmbedder()
        try:
            return await embedder.embed(list(texts))
        finally:
            await embedder.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, run()).result()


@dataclass(frozen=True, slots=True)
class Laid:
    """A catalog with the tenants `acme` and `robots`, each with an active revision 1."""

    catalog: TestCatalog
    acme: TenantNames
    robots: TenantNames
    shape: IndexShape
    folder: Path

    def config(self, **more: object) -> ServeConfig:
        """Configuration of a service for both; `more` replaces parts."""
        login = self.catalog.names.query_login(0)
        base = ServeConfig(
            pipeline="rag/support",
            database=self.catalog.credentials(self.folder / "database", query_00=login),
            profiles={self.shape.profile.identity: self.shape.profile},
        )
        return base.model_copy(update=more)

    def cache(self, url: str) -> Cache:
        """Redis at `url`, which a test may rewrite in the file `redis-url`."""
        file = self.folder / "redis-url"
        file.write_text(url)
        return Cache(url_file=PurePosixPath(file))

    def lay(self, tenant: TenantNames, docs: Sequence[Doc], shape: IndexShape | None = None) -> int:
        """A further revision, not promoted."""
        vectors = embed([f"{doc.title}\n{doc.text}" for doc in docs])
        named = [Doc(f"{uuid4().hex}/{doc.path}", doc.text, doc.title, doc.acl, doc.expires_at) for doc in docs]
        return lay_revision(self.catalog, tenant, shape or self.shape, named, vectors)

    def add(self, tenant: TenantNames, revision: int, docs: Sequence[Doc]) -> None:
        """More documents in a revision."""
        vectors = embed([f"{doc.title}\n{doc.text}" for doc in docs])
        add_documents(self.catalog, tenant, revision, docs, vectors)


@pytest.fixture(autouse=True)
def redis_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine opens no breaker; who looks at the deadline itself sets its own."""
    monkeypatch.setattr(redis, "CALL_SECONDS", 30.0)


@pytest.fixture
def laid(catalog: TestCatalog, tmp_path: Path) -> Laid:
    """Both tenants, promoted."""
    shape = IndexShape(profile=EmbeddingProfile())
    found = Laid(catalog, catalog.add_tenant("acme"), catalog.add_tenant("robots"), shape, tmp_path)
    for tenant, docs in ((found.acme, ACME), (found.robots, ROBOTS)):
        catalog.promote(tenant.incarnation, found.lay(tenant, docs))
    return found
