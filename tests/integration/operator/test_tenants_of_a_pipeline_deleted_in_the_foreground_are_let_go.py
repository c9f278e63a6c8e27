"""A7: from a pipeline deleted in the foreground its managed database is taken, though tenants remain."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.managed import managed_pipeline_binds
from tests.support.operator import COLLECTED, HANDBOOK, World, eventually, pipeline, tenant
from tests.support.postgres import Server

pytestmark = pytest.mark.integration
Loss = Callable[[World, Server], None]


def _the_server_goes(here: World, server: Server) -> None:
    server.stop()


def _the_operator_knows_it_no_more(here: World, server: Server) -> None:
    here.replicas[0].stop()
    here.replicas[0].start()


@pytest.mark.parametrize(
    ("loss", "why"),
    [(_the_server_goes, "tried in vain"), (_the_operator_knows_it_no_more, "the database's Secret is gone")],
)
def test_tenants_are_released_and_it_is_told(here: World, own_server: Server, loss: Loss, why: str) -> None:
    here.operator()
    here.apply(pipeline(database={"managed": {}}), tenant(), HANDBOOK)
    managed_pipeline_binds(here, own_server.dsn())
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    here.kubectl("delete", "ragpipeline", "support", "--cascade=foreground", "--wait=false")
    gone = ("secret", "statefulset")
    eventually(lambda: not any(here.get(kind, "support-postgres") for kind in gone), "it is collected", COLLECTED)
    here.wait_condition("ragpipeline", "support", "Ready", "TenantsRemain")
    loss(here, own_server)
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    assert why in here.wait_audited("DataLeft")["message"]
    eventually(lambda: here.get("ragpipeline", "support") is None, "the pipeline goes", COLLECTED)
