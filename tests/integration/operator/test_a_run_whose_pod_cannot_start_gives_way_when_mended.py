"""A10: a Job can't be changed; one that can't start goes once its pods would be others, asked for or scheduled."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.looks import looks
from tests.support.operator import HANDBOOK, OperatorProcess, World, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
SSD = {"pod": {"nodeSelector": {"disk": "ssd"}}}
UNSCHEDULABLE = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node has it"}],
}
SCHEDULED = "acme-ingest-29000000"


def _patch_status(here: World, kind: str, name: str, status: dict[str, Any]) -> None:
    patch = json.dumps({"status": status})
    here.kubectl("patch", kind, name, "--subresource=status", "--type=merge", "-p", patch)


def _pod_without_node(here: World, job: str) -> None:
    here.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"{job}-a", "labels": {"batch.kubernetes.io/job-name": job}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "ingest", "image": "a"}]},
        }
    )
    _patch_status(here, "pod", f"{job}-a", UNSCHEDULABLE)


def _job(here: World, name: str) -> dict[str, Any]:
    return here.get("job", name) or {"metadata": {}}


def _begun(here: World, database: str, **own: Any) -> OperatorProcess:
    replica = here.operator()
    here.apply(pipeline(ingestion=SSD), tenant(**own), HANDBOOK, here.database_secret(database))
    eventually(lambda: here.has("cronjob/acme-ingest"), "the schedule")
    return replica


def _start_scheduled_run(here: World) -> str:
    """As Kubernetes' controller of CronJobs does; the run's uid."""
    cron = here.get("cronjob", "acme-ingest") or {}
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "acme-ingest", "uid": cron["metadata"]["uid"]}
    template = cron["spec"]["jobTemplate"]
    meta = template["metadata"] | {"name": SCHEDULED, "ownerReferences": [owner | {"controller": True}]}
    here.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": template["spec"]})
    uid = str(_job(here, SCHEDULED)["metadata"]["uid"])
    active = {"apiVersion": "batch/v1", "kind": "Job", "name": SCHEDULED, "namespace": here.namespace, "uid": uid}
    _patch_status(here, "cronjob", "acme-ingest", {"active": [active]})
    return uid


def _mend(here: World, **other: Any) -> None:
    """The time zone changes too, which is of no pod: by it one sees that the CronJob was brought."""
    here.apply(pipeline(ingestion={"timeZone": "Europe/Berlin"} | other))

    def brought() -> bool:
        return str((here.get("cronjob", "acme-ingest") or {})["spec"]["timeZone"]) == "Europe/Berlin"

    eventually(brought, "the CronJob is what the spec says")


def test_a_run_that_was_asked_for_is_made_anew_without_what_the_spec_dropped(here: World, database: str) -> None:
    replica = _begun(here, database)
    job = str(eventually(lambda: here.kubectl("get", "jobs", "-o", "name").strip(), "the first run")).split("/")[1]
    former = _job(here, job)["metadata"]["uid"]
    _pod_without_node(here, job)
    here.wait_condition("ragtenant", "acme", "IngestSucceeded", "PodsFailing")
    _mend(here, **SSD)
    looks(replica, kind="tenant")
    assert _job(here, job)["metadata"]["uid"] == former, "its pods would be the same"
    _mend(here)
    eventually(lambda: _job(here, job)["metadata"].get("uid", former) != former, "it is made anew")
    assert "nodeSelector" not in _job(here, job)["spec"]["template"]["spec"]


def test_a_run_of_other_sources_leaves_its_slot_to_that_of_today_s(here: World, database: str) -> None:
    here.operator()
    here.apply(pipeline(ingestion={"maxConcurrentJobs": 1}), tenant(), HANDBOOK, here.database_secret(database))
    former = str(eventually(lambda: here.kubectl("get", "jobs", "-o", "name").strip(), "the first run"))
    _pod_without_node(here, former.split("/")[1])
    here.wait_condition("ragtenant", "acme", "IngestSucceeded", "PodsFailing")
    here.apply(tenant(sources=[{"name": "renamed", "configMapRef": {"name": "handbook"}}]))
    eventually(lambda: here.kubectl("get", "jobs", "-o", "name").split() not in ([], [former]), "another run", 180)
    assert former not in here.kubectl("get", "jobs", "-o", "name").split()


@pytest.mark.parametrize("stuck", ["before", "after"])
def test_a_scheduled_run_gives_way_though_nothing_else_is_to_be_done(here: World, database: str, stuck: str) -> None:
    _begun(here, database, suspend=True)
    here.wait_condition("ragtenant", "acme", "Ready", "Suspended")
    _start_scheduled_run(here)
    if stuck == "before":
        _pod_without_node(here, SCHEDULED)
    _mend(here)
    if stuck == "after":
        _pod_without_node(here, SCHEDULED)
    eventually(lambda: not here.has(f"job/{SCHEDULED}"), "it goes", 180)


@pytest.mark.parametrize("why", ["its pods would be the same", "it runs"])
def test_a_scheduled_run_is_left_alone_where(here: World, database: str, why: str) -> None:
    replica = here.operator(resync_seconds="2")
    here.apply(pipeline(ingestion=SSD), tenant(suspend=True), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "Ready", "Suspended")
    uid = _start_scheduled_run(here)
    if why == "it runs":
        _patch_status(here, "job", SCHEDULED, {"active": 1, "ready": 1})
    _pod_without_node(here, SCHEDULED)
    _mend(here, **(SSD if why != "it runs" else {}))
    looks(replica, 4, "tenant")
    assert _job(here, SCHEDULED)["metadata"].get("uid") == uid, why
