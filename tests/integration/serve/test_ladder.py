"""What is left when a part is away, and that it is said."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag_runtime.caches import redis
from rag_runtime.contract.config import Answering, ChatModel, EmbeddingProfile, Endpoint, IndexShape, ServeConfig
from tests.integration.serve.conftest import Laid
from tests.integration.serve.laying import Doc, lay_revision
from tests.integration.serve.running import eventually, serving
from tests.support import openai_server as models
from tests.support.postgres import Server, free_port
from tests.support.redis import wait_for_port

pytestmark = pytest.mark.integration

QUESTION = "When do I get my salary?"
FOR_EVER = 3600.0
NO_ANSWER = "Redis does not answer"
"""Logged by each request that touched a dead Redis."""


def with_model(laid: Laid, base_url: str, **more: Any) -> ServeConfig:
    """A chat model behind an endpoint; `more` of Answering."""
    model = ChatModel(name="small", model="small-1", endpoint=Endpoint(base_url=base_url))
    return laid.config(answering=Answering(model=model, **more))


async def test_the_model_gets_numbered_passages_and_its_answer_is_returned(laid: Laid) -> None:
    async with models.openai_server() as endpoint, serving(with_model(laid, endpoint.base_url)) as running:
        body = (await running.ask("acme", QUESTION)).body
        assert "25th" in body["answer"]
        assert body["model"] == "small-1"
        assert body["degraded"] is False
        prompt = str(endpoint.payloads[-1]["messages"])
        assert "[1]" in prompt
        assert "25th" in prompt


async def test_nothing_relevant_is_said_without_asking_the_model(laid: Laid) -> None:
    async with models.openai_server() as endpoint, serving(with_model(laid, endpoint.base_url)) as running:
        body = (await running.ask("acme", "Who won the football world cup on Mars?")).body
        assert body["answer"] == "I don't know based on the available knowledge."
        assert body["model"] is None
        assert endpoint.requests["chat/completions"] == 0


async def test_a_model_that_fails_leaves_extracts_marked_degraded_and_uncached(laid: Laid, redis_url: str) -> None:
    async with models.openai_server() as endpoint:
        config = with_model(laid, endpoint.base_url).model_copy(update={"cache": laid.cache(redis_url)})
        async with serving(config) as running:
            endpoint.fail(500, times=1)
            body = (await running.ask("acme", QUESTION)).body
            assert "25th" in body["answer"]
            assert (body["degraded"], body["degraded_reasons"]) == (True, ["generation"])
            assert body["model"] == "extractive"
            await running.service.path.close()  # what was to be stored is stored by now
            healed = (await running.ask("acme", QUESTION)).body
            assert (healed["from_cache"], healed["degraded"], healed["model"]) == (False, False, "small-1")


async def test_a_model_that_hangs_is_left_at_the_deadline(laid: Laid) -> None:
    never = asyncio.Event()
    async with (
        models.openai_server(models.Behaviour(hold=never)) as endpoint,
        serving(with_model(laid, endpoint.base_url, timeout_seconds=0.5)) as running,
        asyncio.timeout(60),
    ):
        body = (await running.ask("acme", QUESTION)).body
        assert body["degraded_reasons"] == ["generation"]
        assert endpoint.requests["chat/completions"] == 1
        never.set()


async def test_a_dead_model_is_not_asked_again_and_again(laid: Laid) -> None:
    async with models.openai_server() as endpoint, serving(with_model(laid, endpoint.base_url)) as running:
        running.service._generation._breaker.pause = FOR_EVER
        endpoint.fail(503, times=100)
        for _ in range(8):
            assert (await running.ask("acme", QUESTION)).body["degraded"] is True
        assert endpoint.requests["chat/completions"] == 3
        async with running.http.get(f"{running.url}/metrics") as response:
            assert 'rag_breaker_state{breaker="generation"} 2.0' in await response.text()


async def test_a_stream_that_breaks_off_begins_anew_with_extracts(laid: Laid) -> None:
    async with (
        models.openai_server(models.Behaviour(cut_after=2)) as endpoint,
        serving(with_model(laid, endpoint.base_url)) as running,
    ):
        body = (await running.ask("acme", QUESTION)).body
    assert body["degraded_reasons"] == ["generation"]
    assert "25th" in body["answer"]
    assert body["answer"].count("Salaries") == 1


def with_embedder(laid: Laid, base_url: str) -> ServeConfig:
    """Acme on a revision whose vectors come from an endpoint."""
    profile = EmbeddingProfile(endpoint=Endpoint(base_url=base_url), model="hashed", dimensions=64)
    docs = [Doc("e/pay.md", "Salaries are paid on the 25th of each month."), Doc("e/x.md", "The canteen is closed.")]
    vectors = np.stack([models.embed(doc.text, 64) for doc in docs])
    revision = lay_revision(laid.catalog, laid.acme, IndexShape(profile=profile), docs, vectors)
    laid.catalog.promote(laid.acme.incarnation, revision)
    return laid.config(profiles={profile.identity: profile})


async def test_without_the_embedder_words_answer_degraded(laid: Laid) -> None:
    async with (
        models.openai_server(models.Behaviour(dimensions=64)) as endpoint,
        serving(with_embedder(laid, endpoint.base_url)) as running,
    ):
        assert (await running.ask("acme", "When are salaries paid?")).body["degraded"] is False
        endpoint.fail(500, times=100)
        body = (await running.ask("acme", "Salaries paid on the 25th?")).body
        assert (body["degraded"], body["degraded_reasons"]) == (True, ["embedding"])
        assert body["sources"][0]["path"] == "e/pay.md"


async def test_a_profile_that_the_configuration_lacks_degrades(laid: Laid) -> None:
    other = EmbeddingProfile(endpoint=Endpoint(base_url="http://127.0.0.1:9/v1"), model="other")
    async with serving(laid.config(profiles={other.identity: other})) as running:
        body = (await running.ask("acme", "How many days of paid holiday are there?")).body
        assert body["degraded_reasons"] == ["embedding"]
        assert body["sources"][0]["title"] == "Holidays"


async def test_one_question_asked_by_many_is_embedded_once(laid: Laid, redis_url: str) -> None:
    go_on = asyncio.Event()
    async with models.openai_server(models.Behaviour(dimensions=64, hold=go_on)) as endpoint:
        config = with_embedder(laid, endpoint.base_url).model_copy(update={"cache": laid.cache(redis_url)})
        async with serving(config) as running:
            question = f"When are salaries paid in {time.time_ns()}?"
            asked = [asyncio.create_task(running.ask("acme", question)) for _ in range(10)]

            async def all_wait() -> bool:
                figure = running.service.telemetry.in_flight
                return figure._value.get() == 10 and endpoint.requests["embeddings"] > 0

            await eventually(all_wait)
            go_on.set()
            await asyncio.gather(*asked)
            assert endpoint.requests["embeddings"] == 1
            await running.post("/v1/search", "acme", question=question, top_k=2)
            assert endpoint.requests["embeddings"] == 1, "the second time it comes from Redis"


@asynccontextmanager
async def private_redis(port: int, folder: Path) -> AsyncIterator[None]:
    """A redis-server of this test's own, which it may end."""
    program = shutil.which("redis-server")
    assert program is not None
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
    try:
        await asyncio.to_thread(wait_for_port, port)
        yield
    finally:
        process.terminate()
        await process.wait()


async def test_without_redis_it_answers_at_full_speed_and_caches_again_later(
    laid: Laid, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    async with serving(laid.config(cache=laid.cache(f"redis://127.0.0.1:{port}/0"))) as running:

        async def cached() -> bool:
            response = await running.ask("acme", QUESTION)
            assert (response.status, response.body["degraded"]) == (200, False)
            return bool(response.body["from_cache"])

        async with private_redis(port, tmp_path):
            await eventually(cached)
        await cached()
        assert NO_ANSWER in caplog.text
        caplog.clear()
        for _ in range(20):
            assert not await cached()
        assert NO_ANSWER not in caplog.text, "none of them asks Redis"
        async with private_redis(port, tmp_path):
            await eventually(cached)


async def test_a_redis_that_hangs_costs_its_deadline_once(
    laid: Laid, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(redis, "CALL_SECONDS", 0.1)
    monkeypatch.setattr(redis, "PING_SECONDS", FOR_EVER)
    connections = 0

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read()
        writer.close()

    hung = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = hung.sockets[0].getsockname()[1]
    async with serving(laid.config(cache=laid.cache(f"redis://127.0.0.1:{port}/0"))) as running:
        for _ in range(20):
            assert (await running.ask("acme", QUESTION)).status == 200
    hung.close()
    waited = caplog.text.count(NO_ANSWER)
    assert 1 <= waited <= 3, "the versions of two tenants that are told at the start, and the first question"
    assert connections <= 3


async def test_postgres_down_leaves_cached_answers_then_heals(
    laid: Laid, redis_url: str, postgres_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(laid.config(cache=laid.cache(redis_url))) as running:
        breaker = running.service.database.breaker

        async def cached() -> bool:
            return bool((await running.ask("acme", QUESTION)).body["from_cache"])

        await eventually(cached)
        pause, breaker.pause = breaker.pause, FOR_EVER
        postgres_server.stop()
        try:
            assert await cached()
            for _ in range(6):
                response = await running.ask("acme", "How many days of holiday are paid?")
                assert response.status == 503
                assert response.body["error"]["type"] == "unavailable"
                assert int(response.headers["retry-after"]) > 0
            caplog.clear()
            await running.ask("acme", "How many days of holiday are paid?")
            told = [record.__dict__["fields"].get("error") for record in caplog.records if "fields" in record.__dict__]
            assert "Postgres did not answer lately" in told, "the breaker is open"
        finally:
            breaker.pause = pause
            postgres_server.start()

        async def answers() -> bool:
            return (await running.ask("acme", "How many days of holiday are paid?")).status == 200

        await eventually(answers)
