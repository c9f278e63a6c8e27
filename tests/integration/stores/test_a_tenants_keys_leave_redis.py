"""What begins with a prefix is deleted, whatever else Redis holds; what can't be done is told without the password."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from rag_operator.stores.errors import StoreTrouble
from rag_operator.stores.redis import BATCH, remove
from rag_runtime.caches.keys import answer_key, embedding_key, version_key
from rag_runtime.contract.cache import tenant_prefix
from tests.support.postgres import free_port
from tests.support.redis import RedisServer


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def _kept(redis: Redis, prefix: str) -> int:
    return sum([1 async for _ in redis.scan_iter(f"{prefix}*")])


async def test_more_than_a_batch_goes_and_anothers_stay(redis: Redis, redis_url: str) -> None:
    mine, other = uuid4(), uuid4()
    many = 2 * BATCH + 7
    for tenant in (mine, other):
        await redis.mset({answer_key(tenant, "config", "token", ["*"], str(n)): b"{}" for n in range(many)})
        await redis.set(version_key(tenant), 1)
    shared = embedding_key("profile", str(mine))
    await redis.set(shared, b"vector")
    assert await remove(redis_url, tenant_prefix(mine)) == many + 1
    assert await _kept(redis, tenant_prefix(mine)) == 0
    assert await _kept(redis, tenant_prefix(other)) == many + 1
    assert await redis.get(shared) == b"vector"
    assert await remove(redis_url, tenant_prefix(mine)) == 0


async def test_over_tls_by_the_authority_of_the_secret(redis: Redis, redis_server: RedisServer) -> None:
    tenant = uuid4()
    await redis.set(version_key(tenant), 1)
    with pytest.raises(StoreTrouble, match="not trusted: put its authority's into the key ca of Secret cache"):
        await remove(redis_server.tls_url, tenant_prefix(tenant), "cache")
    assert await remove(redis_server.tls_url, tenant_prefix(tenant), "cache", redis_server.authority.read_text()) == 1


async def test_nobody_there() -> None:
    with pytest.raises(StoreTrouble, match="can't be reached") as lost:
        await remove(f"redis://:hidden@127.0.0.1:{free_port()}/0", tenant_prefix(uuid4()))
    assert "hidden" not in str(lost.value)


async def test_one_that_is_not_looked_through_in_time(redis: Redis, redis_url: str) -> None:
    with pytest.raises(StoreTrouble, match="was not looked through within 0 s"):
        await remove(redis_url, tenant_prefix(uuid4()), deadline=0.0)


async def test_a_user_without_the_right_is_named(redis: Redis, redis_url: str) -> None:
    user = f"user-{uuid4().hex}"
    await redis.acl_setuser(user, enabled=True, passwords=["+narrow"], commands=["+ping", "+get"])
    try:
        with pytest.raises(StoreTrouble, match="user of Secret cache: allow PING, SCAN and UNLINK") as refused:
            await remove(redis_url.replace(":secret", f"{user}:narrow"), tenant_prefix(uuid4()), "cache")
        assert "narrow" not in str(refused.value)
    finally:
        await redis.acl_deluser(user)
