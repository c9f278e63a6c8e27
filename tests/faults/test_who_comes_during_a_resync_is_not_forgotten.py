"""A8: a tenant that a list is too old to show is there all the same, once its watch has told of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from aiohttp import web

from tests.faults.api_wire import Forward
from tests.faults.conftest import Stages
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
        assert (on.here.get("ragpipeline", "support") or {})["status"]["tenants"]["total"] == 2
