"""DATA §7: what Redis keeps of a tenant goes with its data; a Redis that is away holds up no erasure, and is named."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from redis import Redis

from rag_runtime.caches.keys import answer_key, embedding_key, version_key
from rag_runtime.contract.cache import tenant_prefix
from tests.support.operator import COLLECTED, HANDBOOK, World, pipeline, secret, tenant
from tests.support.postgres import free_port
from tests.support.redis import RedisServer

pytestmark = pytest.mark.integration


def _begun(here: World, database: str, redis: dict[str, str], **own: Any) -> UUID:
    """A tenant of a pipeline with a Redis of one's own; its incarnation."""
    here.operator()
    cache = {"secretRef": {"name": "redis"}, "exact": {"ttl": "3h"}}
    spec: dict[str, Any] = {"deletionPolicy": "Delete", "cache": cache}
    here.apply(secret("redis", redis), HANDBOOK, here.database_secret(database), pipeline(**spec), tenant(**own))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    schema = f"rag_{here.catalog().hex[:12]}"
    with psycopg.connect(database) as admin:
        admin.execute(f"SET ROLE {schema}_owner".encode())
        ((incarnation,),) = admin.execute(f"SELECT id FROM {schema}.tenant".encode()).fetchall()
    assert isinstance(incarnation, UUID)
    return incarnation


def _fill(redis: Redis, tenant: UUID) -> None:
    """What query pods keep of it."""
    redis.set(answer_key(tenant, "config", "token", ["*"], "question"), b"{}", ex=3600)
    redis.set(version_key(tenant), 7, ex=3600)


def _kept(redis: Redis, tenant: UUID) -> int:
    return len(list(redis.scan_iter(f"{tenant_prefix(tenant)}*")))


def test_a_deleted_tenants_keys_go_with_its_data_and_no_others(
    here: World, database: str, redis_server: RedisServer
) -> None:
    over_tls = {"url": redis_server.tls_url, "ca": redis_server.authority.read_text()}
    mine, other = _begun(here, database, over_tls, deletionPolicy="Delete"), uuid4()
    question = embedding_key("profile", str(other))
    with Redis.from_url(redis_server.url) as redis:
        _fill(redis, mine)
        _fill(redis, other)
        redis.set(question, b"vector", ex=3600)
        here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
        assert (_kept(redis, mine), _kept(redis, other)) == (0, 2)
        assert redis.get(question) == b"vector"
    erased = here.wait_audited("DataErased")
    assert erased["incarnation"] == str(mine)
    assert "its keys in the cache are gone (2)" in erased["message"]


def test_a_retained_tenants_keys_stay_until_its_data_is_erased(here: World, database: str, redis_url: str) -> None:
    mine = _begun(here, database, {"url": redis_url})
    with Redis.from_url(redis_url) as redis:
        _fill(redis, mine)
        here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
        here.wait_audited("DataRetained")
        assert _kept(redis, mine) == 2
        here.apply(tenant())
        here.wait_condition("ragtenant", "acme", "Ready", "RetainedData", COLLECTED)
        here.kubectl("annotate", "ragtenant", "acme", f"rag-operator.dev/erase-retained={mine}")
        assert "its keys in the cache are gone (2)" in here.wait_audited("DataErased")["message"]
        assert _kept(redis, mine) == 0


@pytest.mark.parametrize("away", ["down", "unnamed"])
def test_a_redis_that_is_away_holds_up_no_erasure(here: World, database: str, away: str) -> None:
    _begun(here, database, {"url": f"redis://:hidden@127.0.0.1:{free_port()}/0"}, deletionPolicy="Delete")
    if away == "unnamed":
        here.kubectl("delete", "secret", "redis")
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    said = here.wait_audited("DataErased")["message"]
    assert "the cache was not emptied: " in said
    assert ("can't be reached" if away == "down" else "redis does not exist") in said
    assert "answers at the latest 3h after they were given" in said
    assert "hidden" not in here.logs()
    with psycopg.connect(database) as admin:
        left = admin.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'rag\\_acme\\_%'").fetchall()
    assert left == []
