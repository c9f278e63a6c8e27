"""The `openai` client, unchanged, against our compatible routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.integration.serve.conftest import Laid
from tests.integration.serve.running import Running, serving
from tests.support.catalog import api_key_of

pytestmark = pytest.mark.integration

MESSAGES: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hello, what would you like to know?"},
    {"role": "user", "content": [{"type": "text", "text": "When do I get my salary?"}]},
]


@asynccontextmanager
async def client_of(running: Running, key: str = "acme") -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key=api_key_of(key), max_retries=0) as client:
        yield client


async def test_a_completion_has_answer_and_sources(laid: Laid) -> None:
    async with serving(laid.config()) as running, client_of(running) as client:
        completion = await client.chat.completions.create(model="rag", messages=MESSAGES, temperature=0.2)
    assert completion.choices[0].finish_reason == "stop"
    assert "25th" in str(completion.choices[0].message.content)
    assert completion.usage is not None
    extra = completion.model_extra or {}
    assert extra["sources"][0]["title"] == "Pay"
    assert extra["rag"]["tenant"] == "rag/acme"


async def test_a_streamed_completion_is_the_same(laid: Laid) -> None:
    async with serving(laid.config()) as running, client_of(running) as client:
        stream = await client.chat.completions.create(
            model="rag", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "25th" in text
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert (chunks[-2].model_extra or {})["sources"][0]["title"] == "Pay"


async def test_models_are_listed(laid: Laid) -> None:
    async with serving(laid.config()) as running, client_of(running) as client:
        assert [model.id async for model in client.models.list()] == ["extractive"]


async def test_errors_are_the_clients_own(laid: Laid) -> None:
    async with serving(laid.config()) as running:
        async with client_of(running, "nobody") as client:
            with pytest.raises(openai.AuthenticationError):
                await client.chat.completions.create(model="rag", messages=MESSAGES)
        async with client_of(running) as client:
            with pytest.raises(openai.UnprocessableEntityError, match="messages"):
                await client.chat.completions.create(model="rag", messages=MESSAGES[:3])
