"""A8, DATA §4: the epoch of a catalog is taken by who holds the Lease, and taken back by nobody else."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from rag_operator.api.parse import parse_pipeline
from rag_operator.engine.bind import bind
from rag_operator.engine.context import Context
from rag_operator.engine.queue import Key
from rag_operator.engine.settings import from_environment
from rag_operator.handlers.process import context_of
from rag_operator.kube.client import Api
from rag_operator.stores.database import Databases
from rag_operator.stores.errors import Superseded
from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
BUMP = SQL("UPDATE {}.leader SET epoch = epoch + 1, holder = 'somebody else' RETURNING epoch")
EPOCH = SQL("SELECT epoch FROM {}.leader")


@pytest.fixture
async def context(here: World) -> AsyncIterator[Context]:
    """What a replica works with; it has no election, so that a test says whether it may write."""
    api = await Api.connect(str(here.kubeconfig))
    settings = from_environment({"RAG_OPERATOR_NAMESPACE": here.namespace}, "0.1.0")
    async with Databases("a-replica") as databases:
        yield context_of(settings, api, databases)
    await api.close()


async def test_it_binds_anew_only_once_it_may_write(here: World, database: str, context: Context) -> None:
    here.apply(pipeline(), here.database_secret(database))
    live = parse_pipeline(here.get("ragpipeline", "support") or {})
    release = context.settings.release
    binding = (await bind(context, live, release)).binding
    assert binding is not None
    schema = binding.catalog.schema
    key = Key("pipeline", here.namespace, "support")
    context.bindings[key] = binding
    taken = _asked(database, BUMP, schema)

    context.api.may_write = lambda: False
    with pytest.raises(Superseded, match="led in epoch"):
        await bind(context, live, release)
    assert key not in context.bindings
    known = live.model_copy(
        update={"status": live.status.model_copy(update={"catalog_id": str(binding.catalog.catalog)})}
    )
    with pytest.raises(Superseded, match="the Lease has not been renewed"):
        await bind(context, known, release)
    assert _asked(database, EPOCH, schema) == taken

    context.api.may_write = lambda: True
    again = (await bind(context, known, release)).binding
    assert again is not None
    assert again.epoch == _asked(database, EPOCH, schema) == taken + 1


def test_who_leads_takes_it_back_to_let_tenants_of_a_refused_pipeline_go(here: World, database: str) -> None:
    here.operator()
    here.apply(pipeline(), tenant(suspend=True), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    schema = f"rag_{here.catalog().hex[:12]}"
    here.apply(pipeline(runtimeVersion="99.0.0"))
    here.wait_condition("ragpipeline", "support", "Ready", "InvalidSpec")
    here.replicas[0].stop()
    before = _asked(database, EPOCH, schema)
    here.operator()
    eventually(lambda: _asked(database, EPOCH, schema) > before, "the catalog is reached anew")
    taken = _asked(database, BUMP, schema)
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    assert _asked(database, EPOCH, schema) == taken + 1


def test_who_leads_takes_it_back_and_tells_no_trouble(here: World, database: str) -> None:
    here.operator(resync_seconds="2")
    here.apply(pipeline(), tenant(suspend=True, schedule="1 3 * * *"), HANDBOOK, here.database_secret(database))
    since = here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")["lastTransitionTime"]
    catalog = here.catalog().hex[:12]
    time.sleep(1.1)  # a condition that flapped would have another second
    taken = _asked(database, BUMP, f"rag_{catalog}")
    here.apply(tenant(suspend=True, schedule="2 3 * * *"))

    def followed() -> bool:
        return bool((here.get("cronjob", "acme-ingest") or {})["spec"]["schedule"] == "2 3 * * *")

    eventually(followed, "the change is served")
    assert _asked(database, EPOCH, f"rag_{catalog}") == taken + 1
    said: dict[str, Any] = here.condition("ragtenant", "acme", "DatabaseReady")
    assert (said["reason"], said["lastTransitionTime"]) == ("AsExpected", since)


def _asked(dsn: str, statement: SQL, schema: str) -> int:
    with psycopg.connect(dsn) as admin:
        row = admin.execute(statement.format(Identifier(schema))).fetchone()
    assert row
    return int(row[0])
