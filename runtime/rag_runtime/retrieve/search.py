"""Retrieval of one request: both retrievers over one pinned revision, fused, judged, fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rag_runtime.contract.config import Retrieval, RetrievalMode
from rag_runtime.models.ports import Vector
from rag_runtime.retrieve import statements
from rag_runtime.retrieve.database import Database, Row, Statement
from rag_runtime.retrieve.fusion import Hit, fuse, relevant
from rag_runtime.retrieve.tenants import Target


@dataclass(frozen=True, slots=True)
class Found:
    """One relevant passage. `score`: cosine to the question, or without a vector the share of its words that match."""

    chunk: int
    score: float
    text: str
    title: str
    heading: str
    uri: str
    source: str
    path: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for. `vector` (shape (d,), of the revision's profile) None: by words alone."""

    text: str
    vector: Vector | None
    top_k: int


class Searcher:
    """Finds passages by the pipeline's retrieval settings."""

    def __init__(self, database: Database, settings: Retrieval) -> None:
        self._database = database
        self._settings = settings

    async def search(self, target: Target, question: Question) -> list[Found]:
        """The relevant passages, best first, at most `top_k`. Raises RevisionMissingError, DatabaseUnavailableError."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._settings.timeout_seconds
        nearest, lexical = await self._candidates(target, question, self._settings.timeout_seconds)
        chosen = self._choose(nearest, lexical, question.top_k)
        if not chosen:
            return []
        fetch = statements.passages(target, [hit.chunk for hit in chosen])
        (rows,) = await self._read(target, [fetch], max(0.05, until - loop.time()))
        texts = {row[0]: row for row in rows}
        return [_found(hit, texts[hit.chunk]) for hit in chosen if hit.chunk in texts]

    async def _candidates(self, target: Target, question: Question, seconds: float) -> tuple[list[Row], list[Row]]:
        mode, limit, vector = self._settings.mode, self._settings.candidates, question.vector
        wanted: list[Statement] = []
        if vector is not None and mode is not RetrievalMode.LEXICAL:
            wanted.append(statements.nearest(target, vector, limit))
        if vector is None or mode is not RetrievalMode.VECTOR:
            wanted.append(statements.bm25(target, question.text, vector, limit))
        found = await self._read(target, wanted, seconds)
        if len(found) == 2:
            return found[0], found[1]
        return (found[0], []) if vector is not None and mode is RetrievalMode.VECTOR else ([], found[0])

    def _choose(self, nearest: Sequence[Row], lexical: Sequence[Row], top_k: int) -> list[Hit]:
        keep = self._settings.min_score
        by_meaning = sorted((Hit(chunk, cosine) for chunk, cosine in nearest), key=lambda hit: -hit.score)
        by_words = [Hit(chunk, cosine, coverage) for chunk, _, coverage, cosine in lexical]
        rankings = [
            (self._settings.vector_weight, [hit for hit in by_meaning if relevant(hit, keep)]),
            (self._settings.lexical_weight, [hit for hit in by_words if relevant(hit, keep)]),
        ]
        return fuse(rankings)[:top_k]

    async def _read(self, target: Target, wanted: Sequence[Statement], seconds: float) -> list[list[Row]]:
        ef_search = max(self._settings.ef_search, self._settings.candidates)
        return await self._database.as_reader(target, wanted, ef_search, seconds)


def _found(hit: Hit, row: Row) -> Found:
    _, text, title, heading, uri, source, path, expires_at = row
    return Found(hit.chunk, round(hit.score, 4), text, title, heading, uri, source, path, expires_at)
