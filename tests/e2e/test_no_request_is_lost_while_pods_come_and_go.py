"""F5: query pods are replaced and taken away under load, and every request is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.asking import api_key
from tests.e2e.place import PATIENCE, PIPELINE, Place
from tests.support.load import Load, Phase, questions, running
from tests.support.operator import eventually

pytestmark = pytest.mark.e2e
RATE = 20
GRACE = 20


def test_a_rolling_restart_loses_none(place: Place) -> None:
    def restart() -> None:
        place.kubectl("rollout", "restart", "deployment/support-query")
        _rolled_out(place)
        place.told(lambda: _pods(place) == 2, "the former pods are gone")

    _loses_none(place, restart)


def test_scaling_out_and_in_loses_none(place: Place) -> None:
    def out_and_in() -> None:
        fixed: dict[str, Any] = {"scaling": {"replicas": 4}}
        place.apply(PIPELINE | {"spec": {"database": {"managed": {}}} | fixed})
        eventually(lambda: _pods(place) == 4, "four pods are ready", PATIENCE)
        fixed["scaling"]["replicas"] = 1
        place.apply(PIPELINE | {"spec": {"database": {"managed": {}}} | fixed})
        eventually(lambda: _pods(place) == 1, "three of them are gone", PATIENCE)

    try:
        _loses_none(place, out_and_in)
    finally:
        place.apply(PIPELINE)
        place.wait_ready("ragpipeline", "support")


def test_other_logins_of_the_database_lose_none_and_replace_no_pod(place: Place) -> None:
    """A9: the kubelet brings the new files, pods log in anew by themselves, and then the former login is closed."""
    pods, (former,) = place.pods("query"), _logins_of_sessions(place)
    place.kubectl("set", "env", "deployment/rag-operator", f"RAG_OPERATOR_LOGIN_GRACE_SECONDS={GRACE}")
    place.kubectl("rollout", "status", "deployment/rag-operator", "--timeout=300s")

    def rotate() -> None:
        place.kubectl("delete", "secret", "support-query-db")
        place.told(lambda: bool(place.get("secret", "support-query-db")), "the Secret is made anew")
        place.kubectl("annotate", "pods", *pods, "--overwrite", "example.com/kubelet=look")  # else after a minute
        place.told(lambda: _logins_of_sessions(place).isdisjoint({former}), "all log in as the other")
        place.told(lambda: former not in _open_logins(place), "the former login is closed")

    try:
        _loses_none(place, rotate)
    finally:
        place.kubectl("set", "env", "deployment/rag-operator", "RAG_OPERATOR_LOGIN_GRACE_SECONDS-")
        place.kubectl("rollout", "status", "deployment/rag-operator", "--timeout=300s")
    assert len(_logins_of_sessions(place)) == 1
    assert place.pods("query") == pods


def _logins_of_sessions(place: Place) -> set[str]:
    """Roles that query pods are logged in as."""
    return _roles(place, "SELECT DISTINCT usename FROM pg_stat_activity WHERE usename LIKE '%_query_%'")


def _open_logins(place: Place) -> set[str]:
    return _roles(place, "SELECT rolname FROM pg_roles WHERE rolname LIKE '%_query_%' AND rolcanlogin")


def _roles(place: Place, statement: str) -> set[str]:
    psql = 'PGPASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")" exec psql -h 127.0.0.1 -U "$POSTGRES_USER" -AtX rag -c "$0"'
    return set(place.kubectl("exec", "support-postgres-0", "--", "sh", "-c", psql, statement).split())


def _loses_none(place: Place, disturb: Callable[[], None]) -> None:
    address = f"http://{place.get('service', 'support')['spec']['clusterIP']}:8000"
    asked = questions("When does the bakery open?", 2)
    load = Load(address, api_key(place.tools, place.namespace, "acme"), asked, RATE)
    load.phase = phase = Phase("disturbed")

    async def loaded() -> None:
        async with running(load):
            await asyncio.to_thread(disturb)
            await asyncio.sleep(3)  # a pod that goes may still be asked for a moment

    asyncio.run(loaded())
    assert phase.found["200"] > RATE
    assert phase.lost == 0, dict(phase.found)


def _rolled_out(place: Place) -> None:
    place.kubectl("rollout", "status", "deployment/support-query", "--timeout=300s")
    place.kubectl("wait", "ragpipeline/support", "--for=condition=Ready", "--timeout=300s")


def _pods(place: Place) -> int:
    """Of the query service, those that are ready; 0 while one that is not there to stay remains."""
    status = place.get("deployment", "support-query")["status"]
    ready = int(status.get("readyReplicas", 0))
    selector = "app.kubernetes.io/component=query"
    every = place.kubectl("get", "pods", "-l", selector, "-o", "name").split()
    return ready if len(every) == ready else 0
