"""Ingestion: schedule, single runs, sources as volumes."""

from __future__ import annotations

from typing import Any

from rag_operator.build import ingest
from rag_operator.build.common import Manifest
from rag_operator.build.ingest import IngestInputs
from tests.unit.build.samples import PIPELINES, RELEASE, TENANTS, tenant

INPUTS = IngestInputs("acme-ingest-12345678")
MINIMAL = PIPELINES["minimal"]


def cron(about: str = "of all sources") -> Manifest:
    return ingest.ingest_cron_job(MINIMAL, TENANTS[about], RELEASE, INPUTS)


def job(request: str = "first") -> Manifest:
    return ingest.ingest_job(MINIMAL, TENANTS["of all sources"], RELEASE, INPUTS, request)


def pod() -> Any:
    return job()["spec"]["template"]["spec"]


def test_runs_never_overlap_and_a_missed_one_is_not_made_up_for_ever() -> None:
    spec = cron()["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["startingDeadlineSeconds"] == 600
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (1, 1)


def test_the_pipelines_schedule_is_spread_and_the_tenants_own_is_not() -> None:
    minutes = {
        ingest.ingest_cron_job(MINIMAL, tenant(name=f"t{n}"), RELEASE, INPUTS)["spec"]["schedule"] for n in range(50)
    }
    assert len(minutes) > 10
    own = cron("suspended")["spec"]
    assert (own["schedule"], own["timeZone"], own["suspend"]) == ("0 3 * * *", "Etc/UTC", True)
    assert cron()["spec"]["suspend"] is False


def test_a_single_run_is_the_scheduled_one_made_now() -> None:
    assert job()["spec"] == cron()["spec"]["jobTemplate"]["spec"]


def test_the_same_request_is_the_same_job_and_another_is_another() -> None:
    assert job("a")["metadata"]["name"] == job("a")["metadata"]["name"] != job("b")["metadata"]["name"]


def test_a_run_is_bounded() -> None:
    spec = job()["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (2, 21600, 3600)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_sources_are_mounted_where_the_configuration_says() -> None:
    paths = {mount["name"]: mount for mount in pod()["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod()["volumes"]}
    assert paths["source-0"] == {"name": "source-0", "mountPath": "/etc/rag/sources/handbook", "readOnly": True}
    assert volumes["source-0"]["configMap"]["name"] == "acme.handbook"
    assert volumes["source-0"]["configMap"]["optional"] is False
    assert paths["source-1"]["mountPath"] == f"/etc/rag/sources/{'a' * 63}"
    assert paths["source-1"]["readOnly"] is True
    assert volumes["source-1"]["persistentVolumeClaim"]["claimName"] == "acme-docs"
    assert "source-2" not in volumes, "web pages need no volume"


def test_a_tenants_volume_keeps_its_owners() -> None:
    """fsGroup would change every file of the claim to a group of ours."""
    assert "fsGroup" not in pod()["securityContext"]


def test_the_database_folder_has_the_ingestion_login_only() -> None:
    (database,) = (volume for volume in pod()["volumes"] if volume["name"] == "database")
    assert database["secret"]["secretName"] == "acme-ingest-db"


def test_the_chat_models_key_is_not_in_ingestion_pods() -> None:
    spec = ingest.ingest_job(PIPELINES["hosted"], TENANTS["of all sources"], RELEASE, INPUTS, "a")["spec"]
    (keys,) = (v["secret"] for v in spec["template"]["spec"]["volumes"] if v["name"].startswith("keys-"))
    assert (keys["secretName"], [item["key"] for item in keys["items"]]) == ("openai", ["api-key"])
