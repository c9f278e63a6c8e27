"""What query pods keep of a tenant in Redis is what goes when it is erased, and nothing comes after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from rag_operator.stores.redis import remove
from rag_runtime.contract.cache import tenant_prefix
from tests.integration.serve.conftest import Laid
from tests.integration.serve.laying import Doc
from tests.integration.serve.running import eventually, serving
from tests.integration.serve.test_catalog import change, refused
from tests.integration.serve.test_ladder import QUESTION, with_model
from tests.support import openai_server as models
from tests.support.redis import running

pytestmark = pytest.mark.integration

ERROR = "What does error E1047 mean?"


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    """A Redis of this test's own, all of whose keys it may look at."""
    with running() as server:
        async with Redis.from_url(server.url, decode_responses=True) as client:
            yield client


def _url(redis: Redis) -> str:
    place = redis.connection_pool.connection_kwargs
    return f"redis://:{place['password']}@{place['host']}:{place['port']}/0"


async def test_all_that_pods_keep_of_a_tenant_begins_with_its_prefix(laid: Laid, redis: Redis) -> None:
    mine, other = tenant_prefix(laid.acme.incarnation), tenant_prefix(laid.robots.incarnation)

    async def kept() -> list[str]:
        return sorted([key async for key in redis.scan_iter()])

    async with serving(laid.config(cache=laid.cache(_url(redis)))) as service:
        await service.ask("acme", QUESTION)
        await service.ask("robots", ERROR)
        laid.add(laid.acme, 1, [Doc("canteen.md", "The canteen opens at noon.", "Canteen")])

        async def all_kinds() -> bool:
            keys = await kept()
            wanted = (f"{mine}answer:", f"{mine}version", f"{other}answer:", "rag:embedding:")
            return all(any(key.startswith(kind) for key in keys) for kind in wanted)

        await eventually(all_kinds)
    before = await kept()
    removed = await remove(_url(redis), mine)
    after = await kept()
    assert removed == 2
    assert after == [key for key in before if not key.startswith(mine)]
    assert not [key for key in after if laid.acme.incarnation.hex in key.replace("-", "")]
    assert {key.split(":")[1] for key in after} == {"embedding", f"{{{laid.robots.incarnation}}}"}


async def test_an_answer_under_way_when_its_tenant_goes_is_not_kept(laid: Laid, redis: Redis) -> None:
    go_on = asyncio.Event()
    async with models.openai_server(models.Behaviour(hold=go_on)) as endpoint:
        config = with_model(laid, endpoint.base_url).model_copy(update={"cache": laid.cache(_url(redis))})
        async with serving(config) as service:

            async def model_asked() -> bool:
                return endpoint.requests["chat/completions"] == 1

            asked = asyncio.create_task(service.ask("acme", QUESTION))
            await eventually(model_asked)
            change(laid.catalog, "UPDATE {c}.pointer SET open = false WHERE tenant = %s", laid.acme.incarnation)
            await eventually(lambda: refused(service, "acme"))
            assert not asked.done()
            go_on.set()
            assert (await asked).status == 200
            await service.service.path.close()
    assert [key async for key in redis.scan_iter(f"{tenant_prefix(laid.acme.incarnation)}*")] == []
