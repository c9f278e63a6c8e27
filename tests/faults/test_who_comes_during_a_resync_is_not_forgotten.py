"""A8: lists that are older than what the watch has told: who came since is there, and who went since is not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from aiohttp import web

from tests.faults.api_wire import Forward
from tests.faults.conftest import Stages
from tests.faults.harness import Stage
from tests.faults.weather import Counted, reads
from tests.support.looks import looks
from tests.support.operator import HANDBOOK, eventually, pipeline, tenant

pytestmark = pytest.mark.integration


@dataclass(slots=True)
class Holding(Counted):
    """Lists of CronJobs of all tenants, which a resync reads after the tenants themselves, wait until it is over."""

    over: bool = False

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if reads(request) and request.path.endswith("/cronjobs"):
            self.done += 1
            while not self.over:  # noqa: ASYNC110  told from another thread
                await asyncio.sleep(0.05)
        return None


@dataclass(slots=True)
class Late(Counted):
    """A resync's list of tenants shows what stood when it was asked for, and arrives once it is over."""

    over: bool = False

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if not (reads(request) and request.path.endswith("/ragtenants")):
            return None
        async with await forward(request) as answer:
            body = await answer.read()
        self.done += 1
        while not self.over:  # noqa: ASYNC110  told from another thread
            await asyncio.sleep(0.05)
        return web.Response(status=answer.status, body=body, content_type="application/json")


def _counted(on: Stage) -> int:
    """Tenants, as the pipeline counts them."""
    return int((on.here.get("ragpipeline", "support") or {})["status"]["tenants"]["total"])


def test_it_is_known_and_counted(stages: Stages) -> None:
    with stages() as on:
        replica = on.start()
        on.apply(pipeline(), HANDBOOK, on.database_secret(), tenant("first", suspend=True))
        on.here.wait_condition("ragtenant", "first", "DatabaseReady", "AsExpected")
        on.wire.weather = holding = Holding()
        eventually(lambda: holding.struck, "a resync has listed the tenants")
        on.apply(tenant("late", suspend=True))
        on.here.wait_condition("ragtenant", "late", "DatabaseReady", "AsExpected")
        holding.over = True
        looks(replica)
        told = replica.scrape()
        assert told.of("rag_operator_resync_differences_total", kind="tenant", difference="vanished") == 0
        assert told.of("rag_operator_orphans", what="tenant") == 0
        assert _counted(on) == 2


def test_who_went_meanwhile_is_not_brought_back(stages: Stages) -> None:
    with stages() as on:
        replica = on.start()
        on.apply(
            pipeline(), HANDBOOK, on.database_secret(), *(tenant(name, suspend=True) for name in ("stays", "goes"))
        )
        for name in ("stays", "goes"):
            on.here.wait_condition("ragtenant", name, "DatabaseReady", "AsExpected")
        on.wire.weather = late = Late()
        eventually(lambda: late.struck, "a resync has asked for the tenants")
        on.here.kubectl("delete", "ragtenant", "goes", "--timeout=120s")
        eventually(lambda: _counted(on) == 1, "the watch has told of it")
        before = replica.scrape()
        late.over = True
        resyncs, differences = "rag_operator_resyncs_total", "rag_operator_resync_differences_total"
        eventually(lambda: replica.scrape().of(resyncs) > before.of(resyncs) + 2, "two more began, so one has ended")
        looks(replica)
        after = replica.scrape()
        newer, vanished = {"kind": "tenant", "difference": "newer"}, {"kind": "tenant", "difference": "vanished"}
        assert after.of(differences, **newer) > before.of(differences, **newer), "the list showed it"
        assert after.of(differences, **vanished) == 0, "a look at it showed that it is gone, before the next list did"
        assert _counted(on) == 1
