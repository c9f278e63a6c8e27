"""Pure arithmetic of retrieval: which hits are relevant, and in what order two rankings become one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

RRF_K = 60
"""Cormack, Clarke and Büttcher 2009: reciprocal rank fusion."""
STRONG_COVERAGE = 0.6
FLOOR_SHARE = 0.4
LEXICAL_COVERAGE = 0.5


@dataclass(frozen=True, slots=True)
class Hit:
    """One candidate of one retriever. `cosine`: None without a question vector; `coverage`: None for vector hits."""

    chunk: int
    cosine: float | None
    coverage: float | None = None

    @property
    def score(self) -> float:
        """What a caller sees: the cosine, or without one the share of the question's words that match."""
        return self.cosine if self.cosine is not None else (self.coverage or 0.0)


def relevant(hit: Hit, min_score: float) -> bool:
    """Whether a passage has to do with the question.

    By meaning: its cosine is at least `min_score`. By words (identifiers, error codes, names that an embedder does not
    know): it holds STRONG_COVERAGE of the question's idf, and its cosine is at least FLOOR_SHARE of `min_score`.
    Without a vector (embedder down, lexical mode): LEXICAL_COVERAGE of the question's idf.
    """
    coverage = hit.coverage or 0.0
    if hit.cosine is None:
        return coverage >= LEXICAL_COVERAGE
    return hit.cosine >= min_score or (coverage >= STRONG_COVERAGE and hit.cosine >= FLOOR_SHARE * min_score)


def fuse(rankings: Iterable[tuple[float, Sequence[Hit]]]) -> list[Hit]:
    """Weighted reciprocal rank fusion of (weight, hits best first); of a chunk in several, the hit that knows most."""
    score: dict[int, float] = {}
    best: dict[int, Hit] = {}
    for weight, hits in rankings:
        for rank, hit in enumerate(hits, start=1):
            score[hit.chunk] = score.get(hit.chunk, 0.0) + weight / (RRF_K + rank)
            known = best.get(hit.chunk)
            if known is None or known.coverage is None:
                best[hit.chunk] = hit
    return sorted(best.values(), key=lambda hit: (-score[hit.chunk], -hit.score, hit.chunk))
