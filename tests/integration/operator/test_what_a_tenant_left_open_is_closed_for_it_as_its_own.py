"""A12, DATA §7: answers close for whoever leaves, though a new pipeline took them over or a finalizer was taken off."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.operator.test_tenants_in_other_namespaces import guest, rows, start
from tests.integration.operator.test_uninstall_and_reinstall import release
from tests.support.operator import EVERYONE, HANDBOOK, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
OPEN, CLOSED, KEPT = ("Active", 1, True), ("Deactivated", 0, False), ("Retained", 0, False)
NO_FINALIZER = '{"metadata":{"finalizers":null}}'
NOBODY: dict[str, Any] = {"namespaces": {"from": "Same"}}


def _with_guest(here: World, there: World, dsn: str) -> None:
    start(here, there)
    here.apply(pipeline(tenancy=EVERYONE), here.database_secret(dsn))
    there.apply(guest(here), HANDBOOK)
    there.wait_condition("ragtenant", "acme", "IngestSucceeded", "Ingesting")
    assert rows(dsn) == {there.namespace: OPEN}


def _made_anew(here: World, **spec: Any) -> None:
    """The pipeline goes while nobody looks, and another takes its catalog."""
    catalog = here.catalog()
    here.replicas[-1].stop()
    here.kubectl("patch", "ragpipeline", "support", "--type=merge", "-p", NO_FINALIZER)
    here.kubectl("delete", "ragpipeline", "support", "--timeout=180s", "--ignore-not-found")
    database = {"secretRef": {"name": "db"}, "adopt": str(catalog)}
    here.apply(pipeline(database=database, **spec))


def _is(there: World, dsn: str, row: tuple[str, int, bool], what: str) -> None:
    eventually(lambda: rows(dsn) == {there.namespace: row}, what)


def test_a_guest_that_the_pipeline_which_took_over_does_not_take_is_closed_and_may_come_back(
    here: World, there: World, database: str
) -> None:
    _with_guest(here, there, database)
    schema = (there.get("ragtenant", "acme") or {})["status"]["schema"]
    _made_anew(here, tenancy=NOBODY)
    start(here, there)
    there.wait_condition("ragtenant", "acme", "Ready", "NotAllowedByPipeline")
    _is(there, database, CLOSED, "keys are refused")
    here.kubectl("patch", "ragpipeline", "support", "--type=merge", "-p", json.dumps({"spec": {"tenancy": EVERYONE}}))
    _is(there, database, OPEN, "it is opened again, as the one that was closed")
    assert (there.get("ragtenant", "acme") or {})["status"]["schema"] == schema


def test_a_guest_made_anew_that_the_pipeline_which_took_over_does_not_take_is_closed(
    here: World, there: World, database: str
) -> None:
    _with_guest(here, there, database)
    _made_anew(here, tenancy=NOBODY)
    there.kubectl("patch", "ragtenant", "acme", "--type=merge", "-p", NO_FINALIZER)
    there.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    there.apply(guest(here))
    start(here, there)
    there.wait_condition("ragtenant", "acme", "Ready", "NotAllowedByPipeline")
    _is(there, database, CLOSED, "keys are refused")
    here.kubectl("patch", "ragpipeline", "support", "--type=merge", "-p", json.dumps({"spec": {"tenancy": EVERYONE}}))
    _is(there, database, OPEN, "it is opened again, as the one that was closed")


def test_a_tenant_that_goes_before_the_pipeline_which_took_over_looks_at_it_is_closed_and_told_of(
    here: World, database: str
) -> None:
    here.operator()
    here.apply(pipeline(), tenant(), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    _made_anew(here, paused=True)
    here.operator()
    here.wait_condition("ragpipeline", "support", "Paused", "Paused")
    assert rows(database) == {here.namespace: OPEN}
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    assert rows(database) == {here.namespace: KEPT}
    assert "is kept" in here.wait_audited("DataRetained")["message"]


def test_a_guest_that_is_refused_while_no_operator_is_installed_is_closed_by_the_next(
    here: World, there: World, database: str
) -> None:
    _with_guest(here, there, database)
    here.replicas[0].stop()
    release(here)
    assert "finalizers" not in (there.get("ragtenant", "acme") or {})["metadata"]
    here.apply(pipeline(tenancy=NOBODY))
    start(here, there)
    there.wait_condition("ragtenant", "acme", "Ready", "NotAllowedByPipeline")
    _is(there, database, CLOSED, "keys are refused")
