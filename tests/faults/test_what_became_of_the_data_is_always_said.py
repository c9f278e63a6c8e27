"""A14: whatever ends the operator once a tenant's data is kept or erased, its log says so; once, if nothing does."""

from __future__ import annotations

import signal
from typing import Any

import psycopg
import pytest
from aiohttp import web

from tests.faults.api_wire import Forward, Weather, cut
from tests.faults.conftest import Stages
from tests.faults.harness import Stage
from tests.faults.script import Fault, Script
from tests.faults.sql_wire import Message
from tests.support.operator import HANDBOOK, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
DELETE: dict[str, Any] = {"deletionPolicy": "Delete"}
ERASING, KEEPING = (b"DROP SCHEMA", 1), (b".tenant SET state", 2)
"""The statement of the transaction after which it dies, and the how manieth of its kind: one closes, one keeps."""
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'rag\\_acme\\_%'"
FOREIGN_CRON_JOB = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": "acme-ingest"},
    "spec": {
        "schedule": "0 0 1 1 *",
        "suspend": True,
        "jobTemplate": {
            "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}}}
        },
    },
}


def _bound(on: Stage) -> None:
    on.start()
    on.apply(pipeline(**DELETE), HANDBOOK, on.database_secret())
    on.here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")


def _schemas(on: Stage) -> list[str]:
    with psycopg.connect(on.dsn) as admin:
        return [str(name) for (name,) in admin.execute(SCHEMAS).fetchall()]


def _dies_after_the_commit(on: Stage, statement: bytes, number: int) -> None:
    seen: list[int] = []

    def heard(line: int, message: Message) -> None:
        if statement in message.statement:
            seen.append(line)
        if len(seen) == number and line == seen[-1] and message.statement.strip().upper() == b"COMMIT":
            on.script.matching, on.script.fault = "COMMIT", Fault.DIE_AFTER

    on.sql.heard = heard


def _delete(on: Stage) -> None:
    on.here.kubectl("delete", "ragtenant", "acme", "--wait=false")


def _gone(on: Stage) -> None:
    eventually(lambda: not on.has("ragtenant/acme"), "the tenant goes")


@pytest.mark.parametrize(
    ("policy", "at", "action"),
    [("Delete", ERASING, "DataErased"), ("Retain", KEEPING, "DataRetained")],
    ids=["erased", "kept"],
)
def test_an_operator_that_dies_before_it_said_so_is_made_up_for(
    stages: Stages, policy: str, at: tuple[bytes, int], action: str
) -> None:
    with stages() as on:
        _bound(on)
        on.apply(tenant(deletionPolicy=policy))
        on.here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
        (schema,) = _schemas(on)
        _dies_after_the_commit(on, *at)
        _delete(on)
        eventually(on.script.struck, "it dies")
        assert (_schemas(on), on.through.audited(action)) == ([] if policy == "Delete" else [schema], [])
        on.start()
        _gone(on)
        assert schema in on.through.wait_audited(action)["message"]
        eventually(lambda: action in on.here.kubectl("get", "events"), "an Event says so")


def test_retained_data_that_were_erased_as_told_are_told_of_though_the_operator_dies(stages: Stages) -> None:
    with stages() as on:
        _bound(on)
        on.apply(tenant())
        on.here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
        (schema,) = _schemas(on)
        _delete(on)
        _gone(on)
        kept = on.through.wait_audited("DataRetained")["incarnation"]
        _dies_after_the_commit(on, *ERASING)
        bare = tenant()
        on.apply(bare | {"metadata": bare["metadata"] | {"annotations": {"rag-operator.dev/erase-retained": kept}}})
        eventually(on.script.struck, "it dies")
        assert (_schemas(on), on.through.audited("DataErased")) == ([], [])
        on.start()
        eventually(lambda: on.through.audited("DataErased"), "it is told of")
        said = on.through.audited("DataErased")[0]
        assert (said["incarnation"], schema in said["message"]) == (kept, True)
        eventually(lambda: "DataErased" in on.here.kubectl("get", "events"), "an Event says so")
        on.here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
        assert _schemas(on) not in ([], [schema]), "it begins anew"


def test_data_of_a_tenant_whose_status_never_told_of_it_is_told_of_all_the_same(stages: Stages) -> None:
    with stages() as on:
        _bound(on)
        on.apply(FOREIGN_CRON_JOB, tenant(**DELETE))
        on.here.wait_condition("ragtenant", "acme", "Ready", "NameTaken")
        (schema,) = _schemas(on)
        assert "schema" not in (on.here.get("ragtenant", "acme") or {})["status"]
        _dies_after_the_commit(on, *ERASING)
        _delete(on)
        eventually(on.script.struck, "it dies")
        on.start()
        _gone(on)
        assert schema in on.through.wait_audited("DataErased")["message"]
        assert on.here.get("cronjob", "acme-ingest"), "it was another's"


@pytest.mark.parametrize(("policy", "action"), [("Delete", "DataErased"), ("Retain", "DataRetained")])
def test_a_finalizer_that_comes_off_at_the_second_try_only_repeats_nothing(
    stages: Stages, policy: str, action: str
) -> None:
    with stages() as on:
        _bound(on)
        on.apply(tenant(deletionPolicy=policy))
        on.here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
        on.wire.weather = _first_is_lost(on.script, "/ragtenants/acme")
        _delete(on)
        _gone(on)
        assert on.script.fired
        assert on.through.wait_audited(action)["name"] == "acme"


def _first_is_lost(script: Script, end: str) -> Weather:
    """The first patch of a path that ends so."""

    async def weather(request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if script.fired or request.method != "PATCH" or not request.path.endswith(end):
            return None
        script.fired = request.path
        return cut(request)

    return weather


def test_of_a_tenant_that_never_had_data_nothing_is_told(stages: Stages) -> None:
    with stages() as on:
        _bound(on)
        on.through.replicas[-1].stop(signal.SIGKILL)
        bare = tenant(**DELETE)
        on.apply(bare | {"metadata": bare["metadata"] | {"finalizers": ["rag-operator.dev/data"]}})
        _delete(on)
        on.start()
        _gone(on)
        assert [on.through.audited(action) for action in ("DataErased", "DataRetained", "DataLeft")] == [[], [], []]
