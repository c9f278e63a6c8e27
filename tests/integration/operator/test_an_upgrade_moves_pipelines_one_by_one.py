"""A15: pods follow the operator's release one pipeline after the other, or stay at the version that is pinned."""

from __future__ import annotations

import itertools
import json
from datetime import datetime
from typing import Any

import pytest

from tests.support.operator import HANDBOOK, World, eventually, pipeline, secret, tenant
from tests.support.redis import RedisServer
from tests.support.revisions import pods_serve
from tests.support.rollouts import rollout_fails, rollouts_end

pytestmark = pytest.mark.integration
IMAGE = "registry.example:5000/mirror/runtime"
TENANTS = {"apple": 2, "cherry": 0, "plum": 1}
ORDER = ["cherry", "plum", "apple"]


def _image(here: World, name: str, kind: str = "deployment") -> str:
    live = here.get(kind, name) or {}
    template = live["spec"]["template"] if kind == "deployment" else live["spec"]["jobTemplate"]["spec"]["template"]
    return str(template["spec"]["containers"][0]["image"])


def _status(here: World, name: str) -> dict[str, Any]:
    found: dict[str, Any] = (here.get("ragpipeline", name) or {}).get("status", {})
    return found


def _versions(here: World) -> dict[str, str]:
    listed = json.loads(here.kubectl("get", "ragpipelines", "-o", "json"))["items"]
    return {one["metadata"]["name"]: one.get("status", {}).get("runtimeVersion", "") for one in listed}


def _says(here: World, name: str, part: str) -> None:
    eventually(lambda: part in here.condition("ragpipeline", name, "RuntimeCurrent").get("message", ""), part)


def _upgrade(here: World, version: str) -> None:
    for replica in here.replicas:
        replica.stop()
    here.operator(runtime_image=f"{IMAGE}:{version}", rollout_pause_seconds="4", resync_seconds="2")


@pytest.fixture
def fleet(here: World, database: str, redis_server: RedisServer) -> World:
    """Three pipelines with two, no and one tenant, all Ready with version 0.1.0; their pods are ready while told so."""
    cache = {"cache": {"secretRef": {"name": "redis"}}, "scaling": {"replicas": 1}}
    redis = secret("redis", {"url": redis_server.url})
    here.apply(redis, HANDBOOK, here.database_secret(database), *(pipeline(name, **cache) for name in TENANTS))
    owners = [name for name, number in TENANTS.items() for _ in range(number)]
    here.apply(*(tenant(f"t{i}", owner, suspend=True) for i, owner in enumerate(owners)))
    _upgrade(here, "0.1.0")
    with rollouts_end(here):
        for name in TENANTS:
            here.wait_condition("ragpipeline", name, "DatabaseReady", "AsExpected")
        pods_serve(database, "test")
        for name, number in TENANTS.items():
            here.wait_condition("ragpipeline", name, "Ready", "Ready", 180)
            eventually(lambda n=name, k=number: _status(here, n)["tenants"]["total"] == k, "the counts")  # type: ignore[misc]
    return here


def test_pipelines_move_canary_first_and_each_waits_until_the_one_before_has_run_for_a_while(fleet: World) -> None:
    here = fleet
    assert set(_versions(here).values()) == {"0.1.0"}
    waiting = here.get("deployment", "apple-query") or {}
    mark = here.api.audit.mark()
    _upgrade(here, "0.1.1")
    _says(here, "apple", "waits to move to 0.1.1: behind 2 others")
    assert (here.get("deployment", "apple-query") or {})["metadata"]["generation"] == waiting["metadata"]["generation"]
    with rollouts_end(here):
        eventually(lambda: set(_versions(here).values()) == {"0.1.1"}, "all have moved", 180)
        began = _began(here, mark)
        assert sorted(began, key=lambda name: began[name]) == ORDER
        assert all((began[b] - began[a]).total_seconds() >= 3 for a, b in itertools.pairwise(ORDER))
        for name in TENANTS:
            _says(here, name, "query and ingestion pods run 0.1.1")
            assert _image(here, f"{name}-query") == f"{IMAGE}:0.1.1"
            assert "runtimeMove" not in _status(here, name)
        for number in range(3):
            eventually(lambda n=number: _image(here, f"t{n}-ingest", "cronjob") == f"{IMAGE}:0.1.1", "the CronJobs")  # type: ignore[misc]


def _began(here: World, mark: int) -> dict[str, datetime]:
    """When the API server received the first change of each pipeline's query Deployment since."""
    found: dict[str, datetime] = {}
    for entry in here.api.audit.writes(mark, user=here.user):
        if entry.resource == "deployments" and entry.name.endswith("-query"):
            found.setdefault(entry.name.removesuffix("-query"), datetime.fromisoformat(entry.time))
    return found


def test_a_canary_that_fails_holds_all_others_up_until_it_is_pinned(fleet: World) -> None:
    here = fleet
    _upgrade(here, "0.1.1")
    eventually(lambda: _image(here, "cherry-query") == f"{IMAGE}:0.1.1", "the canary moves")
    rollout_fails(here, "cherry-query")
    here.wait_condition("ragpipeline", "cherry", "Degraded", "PodsFailing", 180)
    _says(here, "plum", f"{here.namespace}/cherry holds all up")
    assert "spec.runtimeVersion" in here.condition("ragpipeline", "plum", "RuntimeCurrent")["message"]
    assert here.condition("ragpipeline", "plum", "Ready")["status"] == "True"
    assert {_image(here, f"{name}-query") for name in ("apple", "plum")} == {f"{IMAGE}:0.1.0"}
    here.kubectl("patch", "ragpipeline", "cherry", "--type=merge", "-p", '{"spec":{"runtimeVersion":"0.1.0"}}')
    with rollouts_end(here):
        _says(here, "cherry", "run 0.1.0, pinned by spec.runtimeVersion")
        assert _image(here, "cherry-query") == f"{IMAGE}:0.1.0"
        eventually(lambda: set(_versions(here).items()) >= {("plum", "0.1.1"), ("apple", "0.1.1")}, "the others", 180)
        assert _image(here, "cherry-query") == f"{IMAGE}:0.1.0"


def test_a_pin_takes_effect_at_once_and_one_that_can_not_be_run_changes_nothing(here: World, database: str) -> None:
    here.apply(pipeline(runtimeVersion="0.1.4"), HANDBOOK, tenant(suspend=True), here.database_secret(database))
    _upgrade(here, "0.1.0")
    eventually(lambda: here.has("cronjob/acme-ingest", "deployment/support-query"), "the CronJob and the query pods")
    assert _image(here, "support-query") == _image(here, "acme-ingest", "cronjob") == f"{IMAGE}:0.1.4"
    here.kubectl("patch", "ragpipeline", "support", "--type=merge", "-p", '{"spec":{"runtimeVersion":"0.1.5"}}')
    eventually(lambda: _image(here, "support-query") == f"{IMAGE}:0.1.5", "the query pods")
    eventually(lambda: _image(here, "acme-ingest", "cronjob") == f"{IMAGE}:0.1.5", "the CronJob follows")
    here.kubectl("patch", "ragpipeline", "support", "--type=merge", "-p", '{"spec":{"runtimeVersion":"9.0.0"}}')
    found = here.wait_condition("ragpipeline", "support", "Ready", "InvalidSpec")
    assert "upgrade the operator first" in found["message"]
    assert _image(here, "support-query") == f"{IMAGE}:0.1.5"
    here.kubectl("patch", "ragpipeline", "support", "--type=merge", "-p", '{"spec":{"runtimeVersion":""}}')
    eventually(lambda: _image(here, "support-query") == f"{IMAGE}:0.1.0", "it follows the release again")
