"""Question vectors: cache, single flight, breaker and deadline around the embedder of the pinned revision's profile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from rag_runtime.answer.telemetry import Telemetry
from rag_runtime.breaker import Breaker
from rag_runtime.caches.embeddings import EmbeddingCache
from rag_runtime.models.errors import PermanentError, RuntimeFault, TransientError
from rag_runtime.models.ports import QuestionEmbedder, Vector

EMBEDDING_SECONDS = 5.0
"""A question waits no longer for its vector; the words alone answer then."""


class QuestionVectors:
    """Vectors of questions by profile identity."""

    def __init__(
        self,
        embedders: Mapping[str, QuestionEmbedder],
        cache: EmbeddingCache | None,
        telemetry: Telemetry,
        seconds: float,
    ) -> None:
        self._embedders = embedders
        self._cache = cache
        self._telemetry = telemetry
        self._seconds = min(seconds, EMBEDDING_SECONDS)
        self._breakers = {
            identity: telemetry.watch(Breaker(f"embedding:{identity}", failures=3, pause=5.0)) for identity in embedders
        }
        self._flying: dict[tuple[str, str], asyncio.Task[Vector]] = {}

    async def vector(self, profile: str, question: str) -> Vector:
        """The question's vector, shape (d,). Raises RuntimeFault: the caller goes on with words alone."""
        embedder = self._embedders.get(profile)
        if embedder is None:
            raise PermanentError(f"profiles: the configuration holds no embedding profile {profile}")
        key = (profile, question)
        task = self._flying.get(key)
        if task is None:
            task = asyncio.create_task(self._find(embedder, profile, question))
            self._flying[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.shield(task)
        except TimeoutError:
            self._breakers[profile].failed()
            raise TransientError("the embedder missed the deadline") from None

    async def close(self) -> None:
        """End what is under way, then the embedders."""
        for task in list(self._flying.values()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, RuntimeFault):
                await task
        for embedder in self._embedders.values():
            await embedder.close()

    def _landed(self, key: tuple[str, str], task: asyncio.Task[Vector]) -> None:
        self._flying.pop(key, None)
        if not task.cancelled():
            task.exception()

    async def _find(self, embedder: QuestionEmbedder, profile: str, question: str) -> Vector:
        if self._cache is not None:
            kept = await self._cache.get(profile, question, embedder.dimensions)
            self._telemetry.lookup("embedding", "miss" if kept is None else "hit")
            if kept is not None:
                return kept
        vector = await self._embed(embedder, self._breakers[profile], question)
        if self._cache is not None:
            await self._cache.put(profile, question, vector)
        return vector

    async def _embed(self, embedder: QuestionEmbedder, breaker: Breaker, question: str) -> Vector:
        if not breaker.admits():
            raise TransientError("the embedder did not answer lately")
        try:
            async with asyncio.timeout(2 * self._seconds):
                vector = await embedder.embed(question)
        except (RuntimeFault, TimeoutError):
            breaker.failed()
            raise
        breaker.succeeded()
        return vector
