"""Pure arithmetic of retrieval: which hits are relevant, and in what order two rankings become one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

RRF_K = 60
"""Cormack, Clarke and Büttcher 2009: reciprocal rank fusion."""
STRONG_COVERAGE = 0.5
"""Share of a question's idf that a passage must hold to be relevant for its words."""
FLOOR_SHARE = 0.2
"""Of `min_score`: what the cosine of such a passage must still be.

Measured with the built-in embedder on 611 chunks of 120 manual pages, min_score 0.25. Questions for 40 rare identifiers
in 4 phrasings: relevant by cosine alone 43-53 %, with this rule 80-98 % (with 0.6 and 0.4 instead: 68-85 %). Of 40
questions about other things 3 find something, 2 of them by cosine (0.25, 0.28), 1 by its only word ("hello").
Without a vector 5 of the 40 do.
"""


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
    know): it holds STRONG_COVERAGE of the question's idf, where words that no passage has count as the rarest, and its
    cosine, if known, is at least FLOOR_SHARE of `min_score`. Without a vector (embedder down, lexical mode) the words
    alone decide.
    """
    by_words = (hit.coverage or 0.0) >= STRONG_COVERAGE
    if hit.cosine is None:
        return by_words
    return hit.cosine >= min_score or (by_words and hit.cosine >= FLOOR_SHARE * min_score)


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
