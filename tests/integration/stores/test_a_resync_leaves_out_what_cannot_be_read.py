"""A resync asks all catalogs: what one of them meets is its own, and what a round meets ends no term."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace

import pytest
from kubernetes.aio import client

from rag_operator.api.parse import parse_pipeline
from rag_operator.engine import resync
from rag_operator.engine.context import Binding, Context
from rag_operator.engine.fleet import catalog_marks
from rag_operator.engine.queue import Key
from rag_operator.engine.resync import Resync
from rag_operator.engine.settings import from_environment
from rag_operator.handlers.process import context_of
from rag_operator.kube.client import Api
from tests.integration.stores.world import World, until
from tests.support.operator import pipeline, tenant

GOOD, BAD = (Key("pipeline", "rag", name) for name in ("support", "sales"))


@pytest.fixture
def context(world: World) -> Context:
    """What an operator works with; no API server is asked."""
    settings = from_environment({"RAG_OPERATOR_NAMESPACE": "rag-system"}, "0.1.0")
    return context_of(settings, Api(client.Configuration()), world.databases)


async def test_a_catalog_that_meets_something_unheard_of_is_left_out(
    world: World, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = pipeline()
    body["metadata"] |= {"namespace": "rag", "uid": "u", "generation": 1}
    good = Binding(parse_pipeline(body), world.address, world.catalog, world.epoch, context.settings.release)
    context.bindings = {BAD: replace(good, address=replace(world.address, ca="no file takes this")), GOOD: good}
    acme = Key("tenant", "rag", "acme")
    told = tenant()
    told["metadata"] |= {"namespace": "rag", "resourceVersion": "1"}
    context.registry.observe(acme, told)
    await world.add("acme")
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    assert list(await catalog_marks(context)) == [acme]


async def test_a_round_that_meets_something_unheard_of_is_followed_by_another(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resync, "RETRY", 0)
    rounds: list[int] = []

    class Failing(Resync):
        async def once(self) -> dict[Key, str]:
            rounds.append(len(rounds))
            raise LookupError

    term = asyncio.create_task(Failing(context).run())
    await until(lambda: len(rounds) > 1 or term.done())
    assert not term.done()
    term.cancel()
