"""The newest index version that any pod knows of, so that no pod answers from the cache of an older one (DATA §3)."""

from __future__ import annotations

from uuid import UUID

from rag_runtime.caches.keys import version_key
from rag_runtime.caches.redis import Redis
from rag_runtime.contract.cache import VERSION_SECONDS

_RAISE = """
local held = tonumber(redis.call('GET', KEYS[1]) or '-1')
if tonumber(ARGV[1]) > held or ARGV[3] == 'force' then redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end
"""


async def announce_version(redis: Redis, tenant: UUID, version: int, *, force: bool = False) -> None:
    """Raise the known version to `version`. `force`: also lower it, after the database itself went back."""
    await redis.script(_RAISE, version_key(tenant), version, VERSION_SECONDS, "force" if force else "")
