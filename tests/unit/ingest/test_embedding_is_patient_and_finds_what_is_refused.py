from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_runtime.contract.config import Quantization
from rag_runtime.ingest.embedding import CANARY, PatientEmbedder
from rag_runtime.models.errors import ModelRejected, ModelUnavailable
from rag_runtime.models.ports import Vectors


@dataclass
class Endpoint:
    """Refuses the texts in `bad`, everything when `closed`; fails `failing` times before."""

    bad: set[str] = field(default_factory=set)
    closed: bool = False
    failing: int = 0
    retry_after: float | None = None
    calls: int = 0
    dimensions: int = 4

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.calls += 1
        if self.failing:
            self.failing -= 1
            raise ModelUnavailable("away", self.retry_after)
        if self.closed or self.bad & set(texts):
            raise ModelRejected("refused")
        return np.array([[len(text)] * 4 for text in texts], np.float32)

    async def close(self) -> None:
        """Nothing is held."""


@dataclass
class Time:
    """A clock that only `sleep` moves."""

    at: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        self.pauses.append(seconds)


def _patient(endpoint: Endpoint, counted: list[int], time: Time | None = None) -> PatientEmbedder:
    time = time or Time()
    return PatientEmbedder(endpoint, Quantization.NONE, counted.append, 300.0, time, time.sleep)


@given(st.lists(st.booleans(), max_size=40))
async def test_exactly_the_refused_texts_are_left_out_and_the_order_is_kept(refused: list[bool]) -> None:
    texts = ["x" * (i + 1) for i in range(len(refused))]
    endpoint = Endpoint({text for text, bad in zip(texts, refused, strict=True) if bad})
    counted: list[int] = []
    result = await _patient(endpoint, counted).embed(texts)
    assert sorted(result.refused) == [i for i, bad in enumerate(refused) if bad]
    assert result.kept == [i for i, bad in enumerate(refused) if not bad]
    values = result.encoded[:, 8:12].copy().view(">f4")[:, 0]
    assert values.tolist() == [i + 1 for i in result.kept]
    assert sum(counted) == len(result.kept)


async def test_an_endpoint_that_refuses_everything_ends_the_run_after_two_calls() -> None:
    endpoint = Endpoint(closed=True)
    with pytest.raises(ModelRejected):
        await _patient(endpoint, []).embed(["a", "b"])
    assert endpoint.calls == 2


async def test_a_text_that_is_refused_alone_is_told_apart_from_a_refused_key() -> None:
    result = await _patient(Endpoint({"bad"}), []).embed(["bad"])
    assert result.refused == {0: "refused"}
    assert result.encoded.shape == (0, 8 + 16)
    assert CANARY != "bad"


async def test_passing_trouble_is_waited_out_with_growing_pauses() -> None:
    time = Time()
    result = await _patient(Endpoint(failing=4), [], time).embed(["a"])
    assert result.kept == [0]
    assert time.pauses == [1, 2, 4, 8]


async def test_retry_after_is_respected() -> None:
    time = Time()
    await _patient(Endpoint(failing=1, retry_after=17), [], time).embed(["a"])
    assert time.pauses == [17]


async def test_patience_ends() -> None:
    time = Time()
    with pytest.raises(ModelUnavailable):
        await _patient(Endpoint(failing=10**6), [], time).embed(["a"])
    assert 200 < time.at <= 300


async def test_a_vector_that_is_no_number_refuses_its_text_only() -> None:
    class Broken(Endpoint):
        async def embed(self, texts: Sequence[str]) -> Vectors:
            return np.array([[np.nan if text == "bad" else 1.0] * 4 for text in texts], np.float32)

    result = await _patient(Broken(), []).embed(["a", "bad", "c"])
    assert result.kept == [0, 2]
