"""A7 and A12: a pipeline that is deleted waits for guests also where no status says yet whose they are."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import psycopg
import pytest

from tests.support.operator import EVERYONE, HANDBOOK, World, eventually, pipeline, secret, tenant
from tests.support.postgres import PASSWORD

pytestmark = pytest.mark.integration


@pytest.fixture
def silent_redis() -> Iterator[str]:
    """A Redis that takes connections and answers nothing: a pipeline's look waits for it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://:{PASSWORD}@127.0.0.1:{server.getsockname()[1]}/0"


def _start(here: World, there: World) -> None:
    here.operator(watch_namespaces=f"{here.namespace},{there.namespace}")


def _guest(here: World) -> dict[str, object]:
    return tenant(suspend=True, pipelineRef={"name": "support", "namespace": here.namespace})


def _delete_and_see_it_wait(here: World, there: World) -> None:
    here.kubectl("delete", "ragpipeline", "support", "--wait=false")
    said = here.wait_condition("ragpipeline", "support", "Ready", "TenantsRemain")
    assert f"{there.namespace}/acme" in said["message"]


def _go(here: World, there: World) -> None:
    there.kubectl("delete", "ragtenant", "acme", "--timeout=60s")
    eventually(lambda: here.get("ragpipeline", "support") is None, "the pipeline goes after its guest")


def test_before_the_pipelines_first_status(here: World, there: World, database: str, silent_redis: str) -> None:
    _start(here, there)
    there.apply(_guest(here), HANDBOOK)
    mine = pipeline(tenancy=EVERYONE, cache={"secretRef": {"name": "silent"}})
    here.apply(mine, here.database_secret(database), secret("silent", {"url": silent_redis}))
    there.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    _delete_and_see_it_wait(here, there)
    _go(here, there)


def test_before_the_guests_first_status(here: World, there: World, database: str) -> None:
    _start(here, there)
    here.apply(pipeline(tenancy=EVERYONE), here.database_secret(database))
    catalog = f"rag_{here.catalog().hex[:12]}"
    with psycopg.connect(database) as another, another.transaction():
        another.execute(f"SET ROLE {catalog}_owner")
        another.execute(f"LOCK TABLE {catalog}.tenant")
        there.apply(_guest(here), HANDBOOK)
        eventually(lambda: "finalizers" in (there.get("ragtenant", "acme") or {})["metadata"], "it is taken")
        _delete_and_see_it_wait(here, there)
        assert "catalogID" not in (there.get("ragtenant", "acme") or {}).get("status", {})
    there.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    _go(here, there)
