"""Question vectors by embedding profile; 4 bytes a dimension."""

from __future__ import annotations

import numpy as np

from rag_runtime.caches.keys import embedding_key
from rag_runtime.caches.redis import Redis
from rag_runtime.models.ports import Vector


class EmbeddingCache:
    """Vectors of shape (d,), float32, by profile identity and question."""

    def __init__(self, redis: Redis, seconds: int) -> None:
        self._redis = redis
        self._seconds = seconds

    async def get(self, profile: str, question: str, dimensions: int) -> Vector | None:
        """The kept vector, when it has the right length."""
        found = await self._redis.get_many([embedding_key(profile, question)])
        if not found or found[0] is None or len(found[0]) != 4 * dimensions:
            return None
        return np.frombuffer(found[0], dtype="<f4").astype(np.float32, copy=False)

    async def put(self, profile: str, question: str, vector: Vector) -> None:
        """Keep a vector."""
        await self._redis.put(embedding_key(profile, question), vector.astype("<f4").tobytes(), self._seconds)
