"""Embedding with patience: passing trouble is waited out, a refused text is left out, a refused key ends the run."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rag_runtime.contract.config import Quantization
from rag_runtime.ingest.copying import Encoded, encode_vectors
from rag_runtime.models.errors import PermanentError, TransientError
from rag_runtime.models.ports import DocumentEmbedder, Vectors

log = logging.getLogger(__name__)

TEXTS = 256
"""Texts that are embedded at once; their vectors are kept in the bytes of the wire only."""
PATIENCE_SECONDS = 300.0
"""How long an endpoint may fail without a success in between before the run gives up."""
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
CANARY = "The quick brown fox jumps over the lazy dog."


@dataclass(frozen=True, slots=True)
class Embedded:
    """Embeddings of the texts with indices `kept`; `refused` says why by index of the others."""

    encoded: Encoded
    kept: list[int]
    refused: dict[int, str]


@dataclass(frozen=True, slots=True)
class PatientEmbedder:
    """Wraps an embedder for one revision. `embedded` is told how many texts were embedded."""

    embedder: DocumentEmbedder
    quantization: Quantization
    embedded: Callable[[int], None]
    patience: float = PATIENCE_SECONDS
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Embeddings of all texts but those that the endpoint refuses for good.

        Raises PermanentError when it refuses everything, TransientError when it stays away for `patience` seconds.
        """
        refused: dict[int, str] = {}
        pieces = [
            await self._split(texts, range(first, min(first + TEXTS, len(texts))), refused)
            for first in range(0, len(texts), TEXTS)
        ]
        empty = encode_vectors(np.empty((0, self.embedder.dimensions), np.float32), self.quantization)
        kept = [i for i in range(len(texts)) if i not in refused]
        return Embedded(np.concatenate([empty, *pieces]), kept, refused)

    async def _split(self, texts: Sequence[str], part: range, refused: dict[int, str]) -> Encoded:
        """Embed a part; when it is refused, halve it until the texts that are to blame stand alone."""
        try:
            vectors = await self._persist([texts[i] for i in part])
            encoded = await asyncio.to_thread(encode_vectors, vectors, self.quantization)
            self.embedded(len(part))
            return encoded
        except (PermanentError, ValueError) as error:
            if not refused:
                await self._persist([CANARY])  # an endpoint that refuses this refuses all: its error ends the run
            if len(part) == 1:
                refused[part[0]] = str(error)
                return encode_vectors(np.empty((0, self.embedder.dimensions), np.float32), self.quantization)
        middle = len(part) // 2
        halves = [await self._split(texts, half, refused) for half in (part[:middle], part[middle:])]
        return np.concatenate(halves)

    async def _persist(self, texts: list[str]) -> Vectors:
        """One call, repeated while its trouble may pass."""
        pause, since = FIRST_PAUSE, self.clock()
        while True:
            try:
                return await self.embedder.embed(texts)
            except TransientError as error:
                if self.clock() - since + pause > self.patience:
                    raise
                wait = max(pause, min(error.retry_after or 0.0, self.patience))
                log.warning("embedding failed, trying again in %.0f s: %s", wait, error)
                await self.sleep(wait)
                pause = min(pause * 2, LONGEST_PAUSE)
