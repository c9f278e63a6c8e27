from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import pytest_asyncio

from rag_runtime.contract.config import EmbeddingCalls, EmbeddingProfile, Endpoint
from rag_runtime.models.errors import ModelRejected, ModelUnavailable, PermanentError
from rag_runtime.models.openai import ATTEMPTS, OpenAIEmbedder
from rag_runtime.models.vectors import WrongDimensions
from tests.support.openai_server import OpenAIServer, embed, openai_server

TEXTS = [f"text number {i} about valve {i % 7}" for i in range(25)]


@pytest_asyncio.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as running:
        yield running


class Client:
    """An embedder whose pauses are noted instead of waited for."""

    def __init__(self, server: OpenAIServer, dimensions: int = 384, **changes: object) -> None:
        self.pauses: list[float] = []
        self.endpoint = Endpoint.model_validate({"base_url": server.base_url} | changes.pop("endpoint", {}))  # type: ignore[operator]
        profile = EmbeddingProfile(endpoint=self.endpoint, model="small-embed", dimensions=dimensions)
        calls = EmbeddingCalls.model_validate({"batch_size": 4, "max_concurrency": 2} | changes)
        self.embedder = OpenAIEmbedder(profile, self.endpoint, calls, jitter=lambda: 0.5, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def embed(self, texts: list[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        try:
            return await self.embedder.embed(texts)
        finally:
            await self.embedder.close()


async def test_texts_go_in_batches_a_few_at_once_and_come_back_in_order(server: OpenAIServer) -> None:
    server.behaviour.delay = 0.2
    vectors = await Client(server).embed(TEXTS)
    assert np.abs(vectors - np.stack([embed(text, 384) for text in TEXTS])).max() < 1e-6
    assert [len(payload["input"]) for payload in server.payloads].count(4) == 6
    assert server.requests["embeddings"] == 7
    assert server.most_at_once == 2


async def test_no_text_makes_no_request(server: OpenAIServer) -> None:
    assert (await Client(server).embed([])).shape == (0, 384)
    assert not server.requests


@pytest.mark.parametrize("status", [429, 500, 503, 408])
async def test_passing_failures_are_repeated(server: OpenAIServer, status: int) -> None:
    server.fail(status, times=3)
    client = Client(server)
    assert len(await client.embed(["one"])) == 1
    assert client.pauses == [0.25, 0.5, 1.0]


async def test_retry_after_is_kept(server: OpenAIServer) -> None:
    server.fail(429, retry_after=7.5)
    client = Client(server)
    await client.embed(["one"])
    assert client.pauses == [7.75]


async def test_a_retry_after_of_minutes_ends_the_attempt(server: OpenAIServer) -> None:
    server.fail(429, retry_after=900)
    with pytest.raises(ModelUnavailable) as caught:
        await Client(server).embed(["one"])
    assert caught.value.retry_after == 900


async def test_an_endpoint_that_stays_down_is_unavailable(server: OpenAIServer) -> None:
    server.fail(503, times=100)
    with pytest.raises(ModelUnavailable, match=r"model 'small-embed' at http://127\.0\.0\.1:\d+/v1: status 503"):
        await Client(server).embed(["one"])
    assert server.requests["embeddings"] == ATTEMPTS


async def test_an_endpoint_that_is_not_there_is_unavailable() -> None:
    async with openai_server() as gone:
        pass
    with pytest.raises(ModelUnavailable, match="can't be reached"):
        await Client(gone).embed(["one"])


async def test_an_answer_past_the_deadline_is_unavailable(server: OpenAIServer) -> None:
    server.behaviour.delay = 0.5
    with pytest.raises(ModelUnavailable, match=r"no answer within 0\.05 s"):
        await Client(server, timeout_seconds=0.05).embed(["one"])


async def test_a_refused_key_is_permanent_and_tried_once(server: OpenAIServer) -> None:
    server.behaviour.api_key = "right"
    with pytest.raises(ModelRejected, match=r"status 401 \(invalid_api_key\); check the API key in its Secret"):
        await Client(server).embed(["one"])
    assert server.requests["embeddings"] == 1


async def test_an_account_without_money_is_permanent_although_it_says_429(server: OpenAIServer) -> None:
    server.fail(429, code="insufficient_quota")
    with pytest.raises(ModelRejected, match="insufficient_quota"):
        await Client(server).embed(["one"])


async def test_a_rotated_key_is_used_without_a_restart(server: OpenAIServer, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("first\n")
    client = Client(server, endpoint={"api_key_file": PurePosixPath(key)})
    await client.embedder.embed(["one"])
    key.write_text("second\n")
    await client.embed(["one"])
    assert server.keys == ["first", "second"]


async def test_a_missing_key_file_is_named(server: OpenAIServer, tmp_path: Path) -> None:
    client = Client(server, endpoint={"api_key_file": PurePosixPath(tmp_path / "absent")})
    with pytest.raises(PermanentError, match=r"absent can't be read .* check the Secret"):
        await client.embed(["one"])


async def test_wrong_dimensions_name_the_model_and_both_numbers(server: OpenAIServer) -> None:
    server.behaviour.dimensions = 768
    with pytest.raises(WrongDimensions, match=r"'small-embed' .* gives 768 dimensions, not the 384 .* dimensions: 768"):
        await Client(server).embed(["one"])


async def test_a_model_that_can_shorten_its_vectors_is_asked_to(server: OpenAIServer) -> None:
    server.behaviour.dimensions, server.behaviour.shortens = 768, True
    client = Client(server, dimensions=256)
    assert (await client.embedder.embed(["one"])).shape == (1, 256)
    assert (await client.embed(["two"])).shape == (1, 256)
    assert [payload.get("dimensions") for payload in server.payloads] == [None, 256, 256]


async def test_a_missing_embedding_is_noticed(server: OpenAIServer) -> None:
    server.behaviour.drop_embeddings = 1
    with pytest.raises(ModelRejected, match="2 embeddings came for 3 texts"):
        await Client(server).embed(["one", "two", "three"])


async def test_one_failed_batch_leaves_no_others_running(server: OpenAIServer) -> None:
    server.behaviour.delay = 0.05
    server.fail(401)
    with pytest.raises(ModelRejected):
        await Client(server).embed(TEXTS)
    assert server.requests["embeddings"] <= 3
