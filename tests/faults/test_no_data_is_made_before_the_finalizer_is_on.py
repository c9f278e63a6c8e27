"""A7: the operator dies before it has written anything to a tenant; nothing of it may stand in the database."""

from __future__ import annotations

import psycopg
import pytest
from aiohttp import web

from tests.faults.api_wire import Forward, Weather, cut
from tests.faults.conftest import Stages
from tests.faults.script import Script
from tests.faults.weather import writes
from tests.support.operator import HANDBOOK, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
LAID = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'rag\\_acme\\_%'"


def _dying(script: Script, path: str) -> Weather:
    async def weather(request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if not writes(request) or path not in request.path:
            return None
        script.fired = f"{request.method} {request.path}"
        script.die()
        return cut(request)

    return weather


def test_a_tenant_without_finalizer_has_no_schema(stages: Stages) -> None:
    with stages() as on:
        on.start()
        on.apply(pipeline(), HANDBOOK, on.database_secret())
        on.here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
        on.wire.weather = _dying(on.script, "/ragtenants/acme")
        on.apply(tenant())
        eventually(on.script.struck, "its first write to the tenant")
        with psycopg.connect(on.dsn) as admin:
            row = admin.execute(LAID).fetchone()
        assert row == (0,)
