"""Names inside Postgres and Redis, all derived from the catalog id or the tenant's incarnation.

Roles are server-wide: deriving them from the catalog id keeps a staging pipeline from resetting production's passwords.
Every name here matches `[a-z][a-z0-9_]*` and fits Postgres's 63 bytes, so it needs no quoting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

READERS_PER_LOGIN = 200
"""Readers of one query login: after a GRANT, SET ROLE costs 0.3 ms at 160 memberships, 6-8 ms at 5,000 (probe C)."""


@dataclass(frozen=True, slots=True)
class CatalogNames:
    """Names of one pipeline's catalog in one database server."""

    catalog: UUID

    @property
    def schema(self) -> str:
        """The catalog schema; also the prefix of every role of this pipeline."""
        return f"rag_{self.catalog.hex[:12]}"

    @property
    def owner(self) -> str:
        """No-login role that owns schemas, tables, views and functions."""
        return f"{self.schema}_owner"

    @property
    def mark(self) -> str:
        """The comment that marks a role as ours; an existing role without it is refused."""
        return f"rag-operator catalog {self.catalog}"

    def query_login(self, shard: int) -> str:
        """The query service's login of a shard of readers, which are granted to it."""
        return f"{self.schema}_query_{shard:02d}"

    def alternate_login(self, shard: int) -> str:
        """The login that takes turns with it when passwords rotate; it reaches readers as a member of that one."""
        return f"{self.query_login(shard)}_b"

    def maker(self, shard: int) -> str:
        """No-login role that makes, alters and drops the roles of a shard's tenants, and belongs to no other's."""
        return f"{self.schema}_make_{shard:02d}"

    @property
    def query_channel(self) -> str:
        """NOTIFY channel that query pods listen on: pointer and catalog changes."""
        return f"{self.schema}_query"

    @property
    def operator_channel(self) -> str:
        """NOTIFY channel that the operator listens on: runs, revisions, leases."""
        return f"{self.schema}_operator"


@dataclass(frozen=True, slots=True)
class TenantNames:
    """Names of one tenant's schema and roles."""

    catalog: CatalogNames
    incarnation: UUID
    name: str

    @property
    def schema(self) -> str:
        """`rag_<tenant>_<incarnation>`, readable in psql."""
        readable = re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_")[:30].rstrip("_")
        return f"rag_{readable}_{self.incarnation.hex[:10]}"

    @property
    def reader(self) -> str:
        """No-login role that the query service assumes for one request."""
        return f"{self.catalog.schema}_{self.incarnation.hex[:12]}_read"

    @property
    def ingestion(self) -> str:
        """Login of the tenant's ingestion Jobs."""
        return f"{self.catalog.schema}_{self.incarnation.hex[:12]}_ingest"


def query_credential(shard: int) -> str:
    """Stem of a query login's files in the credentials directory: `query-00.username`, `query-00.password`."""
    return f"query-{shard:02d}"


def chunk_view(revision: int) -> str:
    """The view of a revision that readers may select from."""
    return f"chunk_r{revision}_v"
