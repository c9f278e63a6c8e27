"""Redis is asked within a deadline; what it says is told without its password."""

from __future__ import annotations

import asyncio

import pytest

from rag_operator.api.conditions import Reason
from rag_operator.stores.errors import StoreProblem, StoreTrouble
from rag_operator.stores.redis import ping
from tests.support.postgres import free_port
from tests.support.redis import RedisServer


async def test_one_that_answers(redis_url: str) -> None:
    await ping(redis_url)


async def test_a_wrong_password(redis_url: str) -> None:
    with pytest.raises(StoreTrouble, match="correct the key url in Secret cache") as refused:
        await ping(redis_url.replace("secret", "wrong-one"), "cache")
    assert refused.value.reason is Reason.CACHE_UNREACHABLE
    assert "wrong-one" not in str(refused.value)


async def test_one_over_tls_is_checked_against_the_authority_of_its_secret(redis_server: RedisServer) -> None:
    await ping(redis_server.tls_url, "cache", redis_server.authority.read_text())
    with pytest.raises(StoreTrouble, match="not trusted: put its authority's into the key ca of Secret cache") as lost:
        await ping(redis_server.tls_url, "cache")
    assert lost.value.reason is Reason.CACHE_UNREACHABLE
    with pytest.raises(StoreTrouble, match="not trusted"):
        elsewhere = redis_server.tls_url.replace("127.0.0.1", "localhost")
        await ping(elsewhere, "cache", redis_server.authority.read_text())
    await ping(redis_server.url, "cache", redis_server.authority.read_text())


async def test_nobody_there() -> None:
    with pytest.raises(StoreTrouble, match="can't be reached") as lost:
        await ping(f"redis://:hidden@127.0.0.1:{free_port()}/0")
    assert lost.value.reason is Reason.CACHE_UNREACHABLE
    assert "hidden" not in str(lost.value)


async def test_one_that_never_answers() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(StoreTrouble, match=r"did not answer|can't be reached"):
            await ping(f"redis://127.0.0.1:{port}/0", deadline=0.3)


@pytest.mark.parametrize("url", ["", "http://host", "redis://", "redis://host:port", "redis://127.0.0.1/0?what=1"])
async def test_no_redis_url(url: str) -> None:
    with pytest.raises(StoreProblem) as invalid:
        await ping(url, "cache")
    assert invalid.value.reason is Reason.SECRET_INVALID
