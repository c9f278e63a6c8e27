"""A tenant as a pod sees it: what one request pins and uses throughout."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from rag_runtime.contract.config import IndexShape
from rag_runtime.contract.names import chunk_view


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where a tenant's answers come from: active revision, its shape, and the version of what is visible in it."""

    active: int | None
    shape: IndexShape | None
    version: int
    token: str
    promotion: int


@dataclass(frozen=True, slots=True)
class Tenant:
    """One answering tenant; `id` is the incarnation, never re-used."""

    id: UUID
    namespace: str
    name: str
    schema: str
    reader: str
    shard: int
    api_keys: frozenset[str]
    """Hex SHA-256 of the keys."""
    pointer: Pointer

    @property
    def label(self) -> str:
        """namespace/name, for logs, metrics and answers."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Target:
    """The one revision that a request reads, and as whom."""

    tenant: UUID
    schema: str
    reader: str
    shard: int
    revision: int
    shape: IndexShape
    acl: tuple[str, ...]

    @property
    def view(self) -> str:
        """Qualified name of the revision's view; from `contract.names`, needs no quoting."""
        return f"{self.schema}.{chunk_view(self.revision)}"

    @property
    def vector_type(self) -> str:
        """The pgvector type of its embeddings."""
        return "halfvec" if self.shape.quantization == "HalfVec" else "vector"


def target_of(tenant: Tenant, acl: tuple[str, ...]) -> Target | None:
    """What to read for `tenant` now; None while it has no active revision."""
    pointer = tenant.pointer
    if pointer.active is None or pointer.shape is None:
        return None
    return Target(tenant.id, tenant.schema, tenant.reader, tenant.shard, pointer.active, pointer.shape, acl)
