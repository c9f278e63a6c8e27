"""What a run of ingestion would say and leave, without its pod."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from rag_operator.api import names
from rag_runtime.contract.config import IngestConfig
from tests.support.operator import World, eventually

LONG_AGO = timedelta(minutes=20)
"""So long ago did a run end: what waits for its time after that has come to it."""


def jobs(here: World, name: str = "acme") -> dict[str, dict[str, Any]]:
    """The tenant's Jobs that are not over, by uid."""
    listed = here.kubectl("get", "jobs", "-l", f"{names.LABEL_TENANT}={name}", "-o", "json")
    unfinished = [job for job in json.loads(listed)["items"] if not job["status"].get("conditions")]
    return {job["metadata"]["uid"]: job for job in unfinished}


def the_job(here: World, what: str, *former: dict[str, Any]) -> dict[str, Any]:
    """The only Job that is not over, once it is another than these."""

    def look() -> dict[str, Any] | None:
        found = jobs(here)
        others = [job for uid, job in found.items() if uid not in [one["metadata"]["uid"] for one in former]]
        return others[0] if len(found) == len(others) == 1 else None

    found = eventually(look, what, 180)
    assert found
    return found


def runs(here: World, job: dict[str, Any]) -> None:
    """Say that the Job's pod runs."""
    _patch_status(here, job, {"active": 1, "ready": 1, "startTime": _long_ago()})


def ends(here: World, job: dict[str, Any]) -> None:
    """Say that the Job has been complete for long."""
    ended = _long_ago()
    conditions = [
        {"type": kind, "status": "True", "lastProbeTime": ended, "lastTransitionTime": ended}
        for kind in ("SuccessCriteriaMet", "Complete")
    ]
    live = here.get("job", job["metadata"]["name"]) or {}
    over = {"completionTime": ended, "succeeded": 1, "active": 0, "ready": 0, "conditions": conditions}
    _patch_status(here, job, {"startTime": ended} | live.get("status", {}) | over)


def reports(here: World, job: dict[str, Any], began: str, *, synced: bool = True) -> None:
    """Report the end of a run of the Job's configuration, by the tenant's own login as it does."""
    config_map = here.get("configmap", job["metadata"]["annotations"][names.ANNOTATION_CONFIG]) or {}
    (text,) = config_map["data"].values()
    config = IngestConfig.model_validate_json(text)
    last = {"startedAt": began, "finishedAt": began, "succeeded": True}
    login = here.secret(f"{job['metadata']['labels'][names.LABEL_TENANT]}-ingest-db")
    place = f"host={login['host']} port={login['port']} dbname={login['dbname']}"
    with psycopg.connect(
        place, user=login["ingest.username"], password=login["ingest.password"], autocommit=True
    ) as session:
        told = {"lastIngestion": last | ({"config": config.digest()} if synced else {})}
        session.execute(f"SELECT {config.database.schema_}.report(%s)".encode(), [Jsonb(told)])


def _long_ago() -> str:
    return (datetime.now(UTC) - LONG_AGO).strftime("%Y-%m-%dT%H:%M:%SZ")


def _patch_status(here: World, job: dict[str, Any], status: dict[str, Any]) -> None:
    patch = json.dumps({"status": status})
    here.kubectl("patch", "job", job["metadata"]["name"], "--subresource=status", "--type=merge", "-p", patch)
