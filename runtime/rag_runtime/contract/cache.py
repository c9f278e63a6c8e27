"""What Redis keeps of one tenant: the query service writes under this prefix, the operator deletes what is under it.

The embeddings of questions are of no tenant: tenants of one profile share them (`rag_runtime.caches.keys`).
"""

from __future__ import annotations

from uuid import UUID

VERSION_SECONDS = 86400
"""How long the number of a tenant's newest index version is kept."""


def tenant_prefix(incarnation: UUID) -> str:
    """How every key of an incarnation begins, and no other's; free of the marks of Redis's patterns.

    The braces are a hash tag: all of one tenant's keys share a slot of a Redis cluster.
    """
    return f"rag:{{{incarnation}}}:"
