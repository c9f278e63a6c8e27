"""Promotions under load: no failed query, no mixed answer, nothing stale afterwards."""

from __future__ import annotations

import asyncio
from functools import partial

import numpy as np
import pytest
from redis.asyncio import Redis

from rag_runtime.caches.keys import version_key
from rag_runtime.contract.config import EmbeddingProfile, Endpoint, IndexShape, ServeConfig
from rag_runtime.serve import listener as listener_module
from tests.integration.serve.conftest import Laid
from tests.integration.serve.laying import Doc, lay_revision
from tests.integration.serve.running import Response, Running, eventually, serving
from tests.support import openai_server as models

pytestmark = pytest.mark.integration

OLD = (Doc("old/a.md", "Paid holiday: 31 days, says the old handbook."), Doc("old/b.md", "Old rule: holiday is paid."))
NEW = (Doc("new/a.md", "Paid holiday: 52 days, says the new handbook."), Doc("new/b.md", "New rule: holiday is paid."))
QUESTION = "How many days of paid holiday does the handbook give?"


def two_profiles(laid: Laid, base_url: str) -> tuple[ServeConfig, int, int]:
    """Configuration, a revision of the built-in embedder, and one of an endpoint with other dimensions."""
    other = EmbeddingProfile(endpoint=Endpoint(base_url=base_url), model="hashed", dimensions=64)
    first = laid.lay(laid.acme, OLD, IndexShape(profile=laid.shape.profile, m=8))
    vectors = np.stack([models.embed(doc.text, 64) for doc in NEW])
    second = lay_revision(laid.catalog, laid.acme, IndexShape(profile=other), NEW, vectors)
    profiles = {profile.identity: profile for profile in (laid.shape.profile, other)}
    return laid.config(profiles=profiles), first, second


async def _answered(seen: list[Response], revision: int) -> bool:
    return bool(seen) and seen[-1].body.get("revision") == revision


async def _cached(seen: list[Response]) -> bool:
    return any(response.body.get("from_cache") for response in seen)


async def test_swaps_between_models_fail_no_query_and_mix_no_answer(laid: Laid, redis_url: str) -> None:
    async with models.openai_server(models.Behaviour(dimensions=64)) as endpoint:
        config, first, second = two_profiles(laid, endpoint.base_url)
        config = config.model_copy(update={"cache": laid.cache(redis_url)})
        laid.catalog.promote(laid.acme.incarnation, first)
        word = {first: "old/", second: "new/"}
        seen: list[Response] = []

        async def ask(running: Running, ends: asyncio.Event) -> None:
            while not ends.is_set():
                seen.append(await running.ask("acme", QUESTION))

        async with serving(config) as running:
            ends = asyncio.Event()
            askers = [asyncio.create_task(ask(running, ends)) for _ in range(6)]
            for swap in range(20):
                target = second if swap % 2 == 0 else first
                await asyncio.to_thread(laid.catalog.promote, laid.acme.incarnation, target)
                await asyncio.sleep(0.1)
                await eventually(partial(_answered, seen, target))
            await eventually(partial(_cached, seen))
            ends.set()
            await asyncio.gather(*askers)
    assert {response.status for response in seen} == {200}
    assert {response.body["revision"] for response in seen} == {first, second}
    assert any(response.body["from_cache"] for response in seen)
    for response in seen:
        body = response.body
        assert body["sources"]
        assert body["degraded"] is False
        assert all(word[body["revision"]] in source["path"] for source in body["sources"])


async def test_after_a_promotion_no_pod_answers_from_an_older_cache(laid: Laid, redis_url: str) -> None:
    """One pod has read the new version, the other was told nothing: Redis tells it before it answers."""
    first = laid.lay(laid.acme, OLD, IndexShape(profile=laid.shape.profile, m=8))
    second = laid.lay(laid.acme, NEW, IndexShape(profile=laid.shape.profile, m=12))
    laid.catalog.promote(laid.acme.incarnation, first)
    config = laid.config(cache=laid.cache(redis_url))
    async with serving(config, "pod-0") as one, serving(config, "pod-1") as other:
        assert (await one.ask("acme", QUESTION)).body["revision"] == first

        async def cached() -> bool:
            return bool((await other.ask("acme", QUESTION)).body["from_cache"])

        await eventually(cached)
        deaf = [task for task in other.service._tasks if "Listener.run" in repr(task)]
        deaf[0].cancel()
        laid.catalog.promote(laid.acme.incarnation, second)

        async def moved() -> bool:
            return bool((await one.ask("acme", QUESTION)).body["revision"] == second)

        await eventually(moved)

        async def announced() -> bool:
            tenant = one.service.catalog.get(laid.acme.incarnation)
            async with Redis.from_url(redis_url) as told:
                kept = await told.get(version_key(laid.acme.incarnation))
            return tenant is not None and kept is not None and int(kept) == tenant.pointer.version

        await eventually(announced)
        assert (await other.ask("acme", QUESTION)).body["revision"] == second


async def test_changed_documents_void_cached_answers(
    laid: Laid, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "POLL_SECONDS", 3600.0)  # it is told, not found by the poll
    config = laid.config(cache=laid.cache(redis_url))
    async with serving(config) as running:
        question = "When does the canteen open?"
        assert (await running.ask("acme", question)).body["sources"] == []

        async def cached() -> bool:
            return bool((await running.ask("acme", question)).body["from_cache"])

        await eventually(cached)
        laid.add(laid.acme, 1, [Doc("canteen.md", "The canteen opens at noon.", "Canteen")])

        async def found() -> bool:
            return "noon" in (await running.ask("acme", question)).body["answer"]

        await eventually(found)


async def test_a_dropped_revision_leads_to_the_one_that_serves_now(laid: Laid) -> None:
    """The pod was told nothing and meets a missing relation: it reads the pointer and tries once more."""
    second = laid.lay(laid.acme, NEW, IndexShape(profile=laid.shape.profile, m=8))
    async with serving(laid.config()) as running:
        with laid.catalog.connect() as owner, owner.transaction():
            c, s = laid.catalog.names.schema, laid.acme.schema
            owner.execute(f"UPDATE {c}.promotion SET number = number + 1")
            owner.execute(
                f"UPDATE {c}.pointer SET active = %s, version = version + 1, token = 'x',"
                f" promotion = (SELECT number FROM {c}.promotion),"
                f" shape = (SELECT shape FROM {s}.revision WHERE number = %s) WHERE tenant = %s",
                [second, second, laid.acme.incarnation],
            )
            owner.execute(f"DROP VIEW {s}.chunk_r1_v; DROP TABLE {s}.chunk_r1, {s}.post_r1, {s}.term_r1, {s}.stat_r1")
        body = (await running.ask("acme", QUESTION)).body
        assert body["revision"] == second
        assert "52" in body["answer"]
