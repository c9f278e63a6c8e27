from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from rag_runtime.contract.config import EmbeddingCalls, EmbeddingProfile, Endpoint
from rag_runtime.models.errors import ModelRejected, ModelUnavailable
from rag_runtime.models.openai import OpenAIEmbedder
from rag_runtime.models.query_embedding import EndpointQuestionEmbedder
from rag_runtime.models.vectors import WrongDimensions, rows_of, to_vectors
from tests.support.openai_server import OpenAIServer, openai_server

PREFIXES: dict[str, Any] = {"query_prefix": "query: ", "document_prefix": "passage: "}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as running:
        yield running


def client(server: OpenAIServer, timeout: float = 5.0, **profile: Any) -> EndpointQuestionEmbedder:
    endpoint = Endpoint(base_url=server.base_url + "/")
    whole = EmbeddingProfile(endpoint=endpoint, model="small-embed", **profile)
    return EndpointQuestionEmbedder(whole, endpoint, EmbeddingCalls(timeout_seconds=timeout))


async def ask(embedder: EndpointQuestionEmbedder, question: str = "where is the valve") -> Any:
    try:
        return await embedder.embed(question)
    finally:
        await embedder.close()


async def test_a_question_s_vector_is_the_one_that_ingestion_would_get(server: OpenAIServer) -> None:
    endpoint = Endpoint(base_url=server.base_url)
    profile = EmbeddingProfile(endpoint=endpoint, model="small-embed", document_prefix="query: ")
    ingestion = OpenAIEmbedder(profile, endpoint, EmbeddingCalls(), jitter=lambda: 0.0)
    [expected] = await ingestion.embed(["where is the valve"])
    await ingestion.close()
    vector = await ask(client(server, **PREFIXES))
    assert (vector.shape, vector.dtype) == ((384,), np.float32)
    assert np.abs(vector - expected).max() < 1e-7
    assert server.payloads[-1]["input"] == ["query: where is the valve"]


async def test_a_failure_is_told_at_once_with_the_pause_that_was_asked_for(server: OpenAIServer) -> None:
    server.fail(429, retry_after=3)
    with pytest.raises(ModelUnavailable) as caught:
        await ask(client(server))
    assert caught.value.retry_after == 3
    assert server.requests["embeddings"] == 1


async def test_a_slow_endpoint_is_unavailable_at_the_deadline(server: OpenAIServer) -> None:
    server.behaviour.delay = 0.5
    with pytest.raises(ModelUnavailable, match=r"no answer within 0\.05 s"):
        await ask(client(server, timeout=0.05))


async def test_an_endpoint_that_is_not_there_is_unavailable() -> None:
    async with openai_server() as gone:
        pass
    with pytest.raises(ModelUnavailable, match="can't be reached"):
        await ask(client(gone))


async def test_an_unknown_path_is_rejected_with_a_mend(server: OpenAIServer) -> None:
    endpoint = Endpoint(base_url=server.base_url + "/wrong")
    profile = EmbeddingProfile(endpoint=endpoint)
    with pytest.raises(ModelRejected, match="status 404; check the endpoint's base URL"):
        await ask(EndpointQuestionEmbedder(profile, endpoint, EmbeddingCalls()))


async def test_wrong_dimensions_are_permanent(server: OpenAIServer) -> None:
    server.behaviour.dimensions = 768
    with pytest.raises(WrongDimensions, match="gives 768 dimensions, not the 384"):
        await ask(client(server))


async def test_a_model_that_can_shorten_its_vectors_is_asked_to(server: OpenAIServer) -> None:
    server.behaviour.dimensions, server.behaviour.shortens = 768, True
    assert (await ask(client(server, dimensions=128))).shape == (128,)


ENDPOINT = Endpoint(base_url="http://models.example/v1")
PROFILE = EmbeddingProfile(endpoint=ENDPOINT, model="m", dimensions=2)


@pytest.mark.parametrize(
    "embedding", [[0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0], ["a", "b"], None, "!!!", [[1.0, 2.0]], {}]
)
def test_what_is_no_vector_is_rejected(embedding: object) -> None:
    with pytest.raises(ModelRejected):
        to_vectors(rows_of([{"index": 0, "embedding": embedding}], 1, ENDPOINT, "m"), PROFILE, ENDPOINT)


@pytest.mark.parametrize(
    "data", [None, 3, [1], [{}], [{"index": "x", "embedding": []}], [], [{"index": 1, "embedding": []}]]
)
def test_what_is_no_list_of_embeddings_is_rejected(data: object) -> None:
    with pytest.raises(ModelRejected):
        rows_of(data, 1, ENDPOINT, "m")


def test_vectors_are_normalised() -> None:
    assert np.allclose(to_vectors([[3.0, 4.0]], PROFILE, ENDPOINT), [[0.6, 0.8]])
