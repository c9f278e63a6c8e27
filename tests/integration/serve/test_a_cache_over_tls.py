"""A Redis behind TLS, checked against the certificates beside its URL."""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePosixPath

import pytest

from rag_runtime.breaker import Breaker
from rag_runtime.caches import redis
from tests.support.redis import RedisServer

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_private_authority_is_trusted_where_it_lies_beside_the_url(
    redis_server: RedisServer, tmp_path: Path, trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "CALL_SECONDS", 5.0)
    (tmp_path / "url").write_text(redis_server.tls_url)
    if trusted:
        (tmp_path / "ca").write_bytes(redis_server.authority.read_bytes())
    client = redis.Redis(PurePosixPath(tmp_path / "url"), Breaker("redis", failures=1, pause=1.0, clock=lambda: 0.0))
    try:
        await client.put(f"tls-{trusted}", b"kept", 10)
        assert await client.get_many([f"tls-{trusted}"]) == ([b"kept"] if trusted else None)
    finally:
        await client.close()
        await asyncio.sleep(0)
