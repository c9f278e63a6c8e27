"""C1: what was asked for is done once an ingestion that began after that has read it, and not when a Job has ended."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.looks import looks
from tests.support.operator import HANDBOOK, OperatorProcess, World, eventually, pipeline, tenant
from tests.support.runs import ends, jobs, reports, runs, the_job

pytestmark = pytest.mark.integration
SECOND: dict[str, Any] = HANDBOOK | {"metadata": {"name": "second"}}
OTHER: dict[str, Any] = {"sources": [{"name": "second", "configMapRef": {"name": "second"}}]}
AT = [f"2026-01-01T00:00:0{number}Z" for number in range(9)]
AFTER = (1, 2, 4, 8, 16)
"""Minutes; the next time is longer than LONG_AGO."""


def _ask(here: World, request: str) -> None:
    here.kubectl("annotate", "--overwrite", "ragtenant", "acme", f"rag-operator.dev/sync-requested={request}")


def _handled(here: World) -> str:
    return str((here.get("ragtenant", "acme") or {})["status"].get("lastHandledSyncRequest", ""))


def _begun(here: World, database: str) -> tuple[OperatorProcess, dict[str, Any]]:
    """An operator, and the first run, whose pod runs."""
    replica = here.operator(resync_seconds="2")
    here.apply(pipeline(), tenant(), HANDBOOK, SECOND, here.database_secret(database))
    first = the_job(here, "the first run")
    runs(here, first)
    return replica, first


def _done(here: World, job: dict[str, Any], began: str) -> None:
    reports(here, job, began)
    ends(here, job)
    here.wait_condition("ragtenant", "acme", "IngestSucceeded", "Succeeded")


def test_a_request_during_a_run_leads_to_another_when_that_is_over(here: World, database: str) -> None:
    replica, first = _begun(here, database)
    _ask(here, "2")
    looks(replica, 3, "tenant")
    assert list(jobs(here)) == [first["metadata"]["uid"]], "none beside it"
    reports(here, first, AT[1])
    ends(here, first)
    second = the_job(here, "the run that was asked for", first)
    assert not _handled(here)
    runs(here, second)
    reports(here, second, AT[2])
    ends(here, second)
    eventually(lambda: _handled(here) == "2", "the request is answered")


@pytest.mark.parametrize("how", ["it left the sync to another", "it could not report"])
def test_a_run_that_was_asked_for_and_read_nothing_is_started_anew(here: World, database: str, how: str) -> None:
    _, first = _begun(here, database)
    _done(here, first, AT[1])
    _ask(here, "2")
    vain = the_job(here, "the run that was asked for", first)
    if how == "it left the sync to another":
        reports(here, vain, AT[2], synced=False)
    ends(here, vain)
    again = the_job(here, "it is started anew", first, vain)
    assert not _handled(here)
    reports(here, again, AT[3])
    ends(here, again)
    eventually(lambda: _handled(here) == "2", "the request is answered")


def test_sources_that_are_as_they_were_before_are_read_anew(here: World, database: str) -> None:
    _, first = _begun(here, database)
    _done(here, first, AT[1])
    here.apply(tenant(**OTHER))
    second = the_job(here, "a run of the others", first)
    _done(here, second, AT[2])
    here.apply(tenant())
    third = the_job(here, "a run of the former ones", first, second)
    assert third["metadata"]["name"] == first["metadata"]["name"]
    _done(here, third, AT[3])


def test_a_run_that_another_read_for_is_not_said_to_have_succeeded(here: World, database: str) -> None:
    _, first = _begun(here, database)
    here.apply(tenant(**OTHER))
    here.wait_condition("ragtenant", "acme", "IngestSucceeded", "Ingesting")
    reports(here, first, AT[1])
    ends(here, first)
    second = the_job(here, "a run of the others", first)
    reports(here, first, AT[2])
    ends(here, second)
    third = the_job(here, "it is started anew", first, second)
    assert third["metadata"]["name"] == second["metadata"]["name"]


def test_a_run_that_ends_in_vain_is_started_anew_less_and_less_often(here: World, database: str) -> None:
    """As with a runtime that digests the same configuration otherwise: it never says what is waited for."""
    replica, job = _begun(here, database)
    reports(here, job, AT[1], synced=False)
    for minutes in AFTER:
        ends(here, job)
        job = the_job(here, f"it is started anew after {minutes} minutes", job)
    ends(here, job)
    here.wait_condition("ragtenant", "acme", "IngestSucceeded", "NotIngested")
    looks(replica, 3, "tenant")
    assert (here.get("job", job["metadata"]["name"]) or {})["metadata"]["uid"] == job["metadata"]["uid"]
