"""Embedders of the revisions that a run indexes: one per profile, whichever revisions share it."""

from __future__ import annotations

from collections.abc import Callable

from rag_runtime.contract.config import EmbeddingCalls, EmbeddingProfile, IngestConfig
from rag_runtime.ingest.errors import ConfigurationError
from rag_runtime.models.errors import PermanentError
from rag_runtime.models.ports import DocumentEmbedder

Opener = Callable[[EmbeddingProfile, EmbeddingCalls], DocumentEmbedder]


class Embedders:
    """Opens embedders when they are first asked for, and closes them together."""

    def __init__(self, config: IngestConfig, opener: Opener) -> None:
        self._config = config
        self._opener = opener
        self._open: dict[str, DocumentEmbedder] = {}

    def profile(self, stored: EmbeddingProfile) -> EmbeddingProfile | None:
        """The profile with today's credentials for the one that a revision recorded; None when the config lacks it.

        A revision remembers where its endpoint's key lay when it was made. The built-in embedder needs none.
        """
        ours = self._config.shape.profile
        if stored.identity == ours.identity:
            return ours
        given = self._config.profiles.get(stored.identity)
        return given or (stored if stored.endpoint is None else None)

    def get(self, profile: EmbeddingProfile) -> DocumentEmbedder:
        """The embedder of a profile. Raises ConfigurationError when its dimensions are not the profile's."""
        embedder = self._open.get(profile.identity)
        if embedder is None:
            try:
                embedder = self._opener(profile, self._config.embedding)
            except PermanentError as error:
                raise ConfigurationError(f"shape.profile: {error}") from error
            self._open[profile.identity] = embedder
        if embedder.dimensions != profile.dimensions:
            raise ConfigurationError(
                f"shape.profile.dimensions: {profile.model} makes vectors of {embedder.dimensions} dimensions, "
                f"not {profile.dimensions}; state {embedder.dimensions}"
            )
        return embedder

    async def close(self) -> None:
        """Release their connections and threads."""
        for embedder in self._open.values():
            await embedder.close()
