"""Keys of DATA §6. Those of a tenant begin with its prefix, by which they are deleted when it is erased."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from uuid import UUID

from rag_runtime.contract.cache import tenant_prefix
from rag_runtime.contract.config import ServeConfig


def digest(*parts: str) -> str:
    """Hex SHA-256 of the parts, cut to 32 characters; no part can run into the next."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def config_digest(config: ServeConfig) -> str:
    """What of the configuration shapes an answer."""
    return digest(config.retrieval.canonical(), config.answering.canonical())


def answer_key(tenant: UUID, config: str, token: str, acl: Sequence[str], question: str) -> str:
    """Key of an exact answer; `question` is whatever of the request shapes the answer, as one text."""
    return f"{tenant_prefix(tenant)}answer:{config}:{token}:{digest(*sorted(acl))}:{digest(question)}"


def version_key(tenant: UUID) -> str:
    """Key of the newest index version that any pod knows of."""
    return f"{tenant_prefix(tenant)}version"


def embedding_key(profile: str, question: str) -> str:
    """Key of a question's vector: shared by tenants of one profile, and only a hash of the text is kept."""
    return f"rag:embedding:{profile}:{digest(question)}"
