"""Issue 4, Upgrade: today's operator takes over what an earlier one left, and restarts query pods only as announced.

States are recorded by `record.py`. The way back (`helm rollback`) needs no run of the former operator here: what it
finds is what it left, beside fields that it doesn't know, and a schema of one version more (its own tests show that it
takes that).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rag_operator.api.names import FIELD_MANAGER_PIPELINE, FIELD_MANAGER_REPLICAS, FIELD_MANAGER_TENANT
from rag_operator.kube.status import STATUS_MANAGER
from rag_runtime.contract.catalog import CATALOG_VERSION
from rag_runtime.contract.tenant import TENANT_VERSION
from tests.integration.upgrade.recording import RECORDED, Loading
from tests.support import postgres
from tests.support.catalog import CATALOGS
from tests.support.looks import LONG, looks, written
from tests.support.operator import OperatorProcess, World, eventually
from tests.support.redis import RedisServer
from tests.support.rollouts import job_runs, rollouts_end

pytestmark = pytest.mark.integration
CHANGELOG = Path(__file__).parents[3] / "CHANGELOG.md"
ANNOUNCED = re.compile(r"^#### Restarts query pods$(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)
STATES = sorted(path.name for path in RECORDED.iterdir() if path.is_dir())
OURS = {FIELD_MANAGER_PIPELINE, FIELD_MANAGER_TENANT, FIELD_MANAGER_REPLICAS, STATUS_MANAGER, "rag-operator"}


def differences(before: Any, after: Any, at: str = "") -> Iterator[str]:
    """Paths of what differs, as short as they can be: a list of other length is one difference."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            if key not in before or key not in after:
                yield f"{at}.{key}".lstrip(".")
            else:
                yield from differences(before[key], after[key], f"{at}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(old, new, f"{at}[{index}]")
    elif before != after:
        yield at.lstrip(".")


def announced(state: str) -> set[str]:
    """Parts of the pod template that the changelog announces to those who come from that state."""
    found = ANNOUNCED.search(CHANGELOG.read_text(encoding="utf-8"))
    lines = [line for line in found[1].splitlines() if f"from {state}:" in line] if found else []
    return {path for line in lines for path in re.findall(r"`([^`]+)`", line)}


def _template(here: World) -> dict[str, Any]:
    found: dict[str, Any] = (here.get("deployment", "support-query") or {})["spec"]["template"]
    return found


def _complete(here: World) -> bool:
    live = here.get("deployment", "support-query") or {}
    status = live.get("status", {})
    seen = status.get("observedGeneration", 0) >= live["metadata"]["generation"]
    return seen and {status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")} == {2}


@pytest.fixture(params=STATES)
def state(
    request: pytest.FixtureRequest, here: World, own_server: postgres.Server, redis_server: RedisServer
) -> tuple[str, str]:
    """A recorded state, loaded; its name and the database."""
    dsn = own_server.create_database("recorded")
    given = {"redis": {"url": redis_server.url}, "db": {"username": postgres.ADMIN, "password": postgres.PASSWORD}}
    Loading(here, own_server, dsn, given).load(RECORDED / request.param)
    return str(request.param), dsn


def test_it_settles_with_no_restart_that_is_not_announced(here: World, state: tuple[str, str]) -> None:
    name, dsn = state
    with rollouts_end(here):
        eventually(lambda: _complete(here), "the recorded query pods serve", 180)
        job = job_runs(here)
        before, job_before = _template(here), here.get("job", job) or {}
        replica = here.operator(runtime_image="rag-operator/runtime:0.1.0", resync_seconds="2")
        looks(replica)  # what is waited for below may be recorded
        looks(replica, kind="tenant")
        here.wait_condition("ragpipeline", "support", "RuntimeCurrent", "AsExpected", 180)
        here.wait_condition("ragpipeline", "support", "Ready", "Ready", 180)
        for tenant in ("acme", "beta"):
            here.wait_condition("ragtenant", tenant, "DatabaseReady", "AsExpected", 180)
        eventually(lambda: _quiet(here, replica), "several looks without a write", LONG)
        assert set(differences(before, _template(here))) == announced(name)
        _keeps_what_is_its_own(here)
        after = here.get("job", job) or {}
        assert after["metadata"]["uid"] == job_before["metadata"]["uid"], "the running Job is left to end"
        assert here.condition("ragtenant", "acme", "IngestSucceeded")["reason"] == "Ingesting"
        assert here.kubectl("get", "jobs", "-o", "name").split() == [f"job.batch/{job}"]
    _migrated(dsn)


def _quiet(here: World, replica: OperatorProcess) -> bool:
    mark = here.api.audit.mark()
    looks(replica, 3)
    return not written(here, mark) and _complete(here)


def _keeps_what_is_its_own(here: World) -> None:
    """No manager of a former release holds a field that today's writes."""
    kinds = "deployments,services,configmaps,secrets,cronjobs,networkpolicies,ragpipelines,ragtenants"
    for item in json.loads(here.kubectl("get", kinds, "-o", "json", "--show-managed-fields"))["items"]:
        managers = {entry["manager"] for entry in item["metadata"].get("managedFields", [])}
        assert {manager for manager in managers if manager.startswith("rag-operator")} <= OURS


def _migrated(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as admin:
        (catalog,) = admin.execute(CATALOGS).fetchone() or ("",)
        admin.execute(f"SET ROLE {catalog}_owner".encode())
        versions = admin.execute(f"SELECT schema_version FROM {catalog}.instance".encode()).fetchall()
        assert versions == [(CATALOG_VERSION,)]
        tenants = admin.execute(f"SELECT name, schema, schema_version FROM {catalog}.tenant ORDER BY 1".encode())
        rows = tenants.fetchall()
        assert [(row[0], row[2]) for row in rows] == [("acme", TENANT_VERSION), ("beta", TENANT_VERSION)]
        kept = admin.execute(f"SELECT title FROM {rows[0][1]}.document".encode()).fetchall()
        assert kept == [("Hello",)]
