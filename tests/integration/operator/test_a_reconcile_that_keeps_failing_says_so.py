"""A5: a reconcile that fails for half a minute is told in the resource's status, not in the log alone, and heals."""

from __future__ import annotations

import json

import pytest

from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant
from tests.support.webhooks import unanswered

pytestmark = pytest.mark.integration
TOLD = 150.0
"""Half a minute of failures, and the back-off after it."""
HEALED = 120.0


def _pause(here: World, *, paused: bool) -> None:
    here.kubectl("patch", "ragpipeline", "support", "--type=merge", "-p", json.dumps({"spec": {"paused": paused}}))


def test_a_pipeline_names_the_webhook_that_does_not_answer(here: World, database: str) -> None:
    with unanswered(here, "apps", "deployments") as webhook:
        here.operator()
        here.apply(pipeline(), here.database_secret(database))
        said = here.wait_condition("ragpipeline", "support", "Ready", "ReconcileFailed", TOLD)
        assert webhook in said["message"]
        assert here.condition("ragpipeline", "support", "Degraded")["reason"] == "ReconcileFailed"
    eventually(lambda: here.get("deployment", "support-query"), "the Deployment", HEALED)
    eventually(lambda: here.condition("ragpipeline", "support", "Degraded")["status"] == "False", "no trouble", HEALED)
    assert here.condition("ragpipeline", "support", "Ready")["reason"] != "ReconcileFailed"


def test_a_tenant_does_and_keeps_no_trace_of_it_while_its_pipeline_is_paused(here: World, database: str) -> None:
    here.operator()
    here.apply(pipeline(), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
    with unanswered(here, "batch", "cronjobs") as webhook:
        here.apply(tenant(suspend=True))
        said = here.wait_condition("ragtenant", "acme", "Ready", "ReconcileFailed", TOLD)
        assert webhook in said["message"]
        _pause(here, paused=True)
        here.wait_condition("ragpipeline", "support", "Paused", "Paused")
    for condition in ("Ready", "Degraded"):
        here.wait_condition("ragtenant", "acme", condition, "Reconciling", HEALED)
    assert not here.has("cronjob/acme-ingest"), "it was not looked at further"
    _pause(here, paused=False)
    here.wait_condition("ragtenant", "acme", "Ready", "Suspended", HEALED)
    assert here.condition("ragtenant", "acme", "Degraded")["status"] == "True", "suspended before it was ever read"
