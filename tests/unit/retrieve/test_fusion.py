"""Which hits are relevant, and how two rankings become one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_runtime.retrieve.fusion import Hit, fuse, relevant


@pytest.mark.parametrize(
    ("cosine", "coverage", "expected"),
    [
        (0.25, None, True),
        (0.24, None, False),
        (0.24, 0.49, False),
        (0.24, 0.5, True),
        (0.05, 1.0, True),
        (0.04, 1.0, False),
        (0.9, 0.0, True),
        (None, 0.5, True),
        (None, 0.49, False),
        (None, None, False),
    ],
)
def test_relevance_by_meaning_or_by_words(cosine: float | None, coverage: float | None, expected: bool) -> None:
    assert relevant(Hit(1, cosine, coverage), min_score=0.25) is expected


def test_a_chunk_in_both_rankings_comes_first() -> None:
    vector = [Hit(1, 0.9), Hit(2, 0.8)]
    lexical = [Hit(2, 0.8, 1.0), Hit(3, 0.3, 0.9)]
    fused = fuse([(1.0, vector), (1.0, lexical)])
    assert [hit.chunk for hit in fused] == [2, 1, 3]
    assert fused[0].coverage == 1.0


def test_a_weight_of_nothing_leaves_the_other_order() -> None:
    vector, lexical = [Hit(1, 0.9), Hit(2, 0.8)], [Hit(2, 0.8, 1.0), Hit(1, 0.9, 0.2)]
    assert [hit.chunk for hit in fuse([(1.0, vector), (0.0, lexical)])] == [1, 2]
    assert [hit.chunk for hit in fuse([(0.0, vector), (1.0, lexical)])] == [2, 1]


@given(st.lists(st.lists(st.integers(0, 30), unique=True, max_size=20), max_size=3))
def test_fusion_keeps_every_chunk_once(rankings: list[list[int]]) -> None:
    fused = fuse([(1.0, [Hit(chunk, 0.5) for chunk in ranking]) for ranking in rankings])
    assert sorted(hit.chunk for hit in fused) == sorted({chunk for ranking in rankings for chunk in ranking})


@given(st.lists(st.integers(0, 30), unique=True, max_size=20))
def test_fusion_of_one_ranking_keeps_its_order(ranking: list[int]) -> None:
    assert [hit.chunk for hit in fuse([(1.0, [Hit(chunk, 0.5) for chunk in ranking])])] == ranking
