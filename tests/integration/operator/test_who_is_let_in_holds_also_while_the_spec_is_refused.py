"""A12: a namespace that a spec no longer takes in is closed at once, whatever else of that spec can't be acted on."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.looks import settles
from tests.support.operator import EVERYONE, HANDBOOK, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
NOBODY = {"namespaces": {"from": "Same"}}
UNKNOWN: dict[str, Any] = {"runtimeVersion": "99.0.0"}
"""A pin that no operator can run."""


def laid(here: World, there: World, database: str) -> str:
    """A guest for whom nothing is left to do, and nothing but the pipeline to wake it; the catalog's schema."""
    watched = f"{here.namespace},{there.namespace}"
    replica = here.operator(watch_namespaces=watched, resync_seconds="3600")
    here.apply(pipeline(tenancy=EVERYONE), here.database_secret(database))
    there.apply(tenant(pipelineRef={"name": "support", "namespace": here.namespace}, suspend=True), HANDBOOK)
    there.wait_condition("ragtenant", "acme", "Ready", "Suspended")
    settles(here, replica)
    catalog = f"rag_{here.catalog().hex[:12]}"
    assert row(database, catalog) == [("Active", 1)]
    return catalog


def row(dsn: str, catalog: str) -> list[tuple[Any, ...]]:
    """State and number of API keys of the only tenant."""
    with psycopg.connect(dsn) as admin:
        admin.execute(f"SET ROLE {catalog}_owner")
        return admin.execute(f"SELECT state, cardinality(api_keys) FROM {catalog}.tenant").fetchall()


@pytest.mark.parametrize("more", [{}, {"paused": True}], ids=["alone", "and paused"])
def test_a_guest_is_closed_though_the_spec_has_a_pin_that_nobody_runs(
    here: World, there: World, database: str, more: dict[str, Any]
) -> None:
    catalog = laid(here, there, database)
    here.apply(pipeline(tenancy=EVERYONE, **UNKNOWN, **more))
    here.wait_condition("ragpipeline", "support", "Ready", "InvalidSpec")
    _rests(here)
    assert row(database, catalog) == [("Active", 1)]
    here.apply(pipeline(tenancy=NOBODY, **UNKNOWN, **more))
    there.wait_condition("ragtenant", "acme", "Ready", "NotAllowedByPipeline")
    eventually(lambda: row(database, catalog) == [("Deactivated", 0)], "its answers are closed")


def test_a_guest_is_closed_though_the_databases_secret_is_gone(here: World, there: World, database: str) -> None:
    catalog = laid(here, there, database)
    here.kubectl("delete", "secret", "db")
    here.wait_condition("ragpipeline", "support", "Ready", "SecretNotFound")
    _rests(here)
    here.apply(pipeline(tenancy=NOBODY))
    there.wait_condition("ragtenant", "acme", "Ready", "NotAllowedByPipeline")
    eventually(lambda: row(database, catalog) == [("Deactivated", 0)], "its answers are closed")


def _rests(here: World) -> None:
    """Who was woken by what has happened has been looked at."""
    eventually(lambda: here.replicas[0].scrape().is_idle(), "nothing is under way")


def test_what_is_paused_stays_said_to_be_paused_while_its_spec_is_refused(here: World, database: str) -> None:
    here.operator()
    here.apply(pipeline(), here.database_secret(database))
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
    here.apply(pipeline(paused=True))
    here.wait_condition("ragpipeline", "support", "Paused", "Paused")
    here.apply(pipeline(paused=True, **UNKNOWN))
    here.wait_condition("ragpipeline", "support", "Ready", "InvalidSpec")
    assert here.condition("ragpipeline", "support", "Paused")["status"] == "True"
    here.apply(pipeline(**UNKNOWN))
    here.wait_condition("ragpipeline", "support", "Paused", "NotPaused")
    here.wait_audited("Resumed")
