"""A8: a wall clock ten minutes off, or set while the operator runs, moves no Lease and changes nothing that stands."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rag_operator.kube.kinds import LEASE as KIND
from rag_operator.kube.lease import DURATION, PERIOD
from tests.cluster.fixtures import Kubernetes
from tests.faults.api_wire import WRITES, Forward
from tests.faults.clocks import WallClock
from tests.faults.conftest import Stages
from tests.faults.harness import Stage
from tests.faults.scenarios import SCENARIOS
from tests.faults.script import ALL
from tests.support.operator import OperatorProcess, eventually
from tests.support.rights import HOME
from tests.support.terms import one_writer_at_a_time

pytestmark = pytest.mark.integration
LEASE = "clocks"
CREATE = SCENARIOS[0]
TEN = timedelta(minutes=10)
OFF = [TEN, -TEN] if ALL else [TEN]
HANDED_OVER = TEN.total_seconds() / 4
"""Seconds: more than the Lease's duration and a round of the election take anywhere, less than a clock is off."""
MERGE = "application/merge-patch+json"


def _word(off: timedelta) -> str:
    return "ahead" if off > timedelta() else "behind"


@dataclass(slots=True)
class Holders:
    """A weather that changes nothing: notes who is written into the Lease, each time that it is another."""

    names: list[str] = field(default_factory=list)
    renewals: list[datetime] = field(default_factory=list)

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if "/leases" in request.path and request.method in WRITES:
            async with await forward(request) as answer:
                status, body = answer.status, await answer.read()
            if status < 300:
                self._note(json.loads(body)["spec"])
            return web.Response(status=status, body=body, content_type="application/json")
        return None

    def _note(self, spec: dict[str, Any]) -> None:
        self.renewals.append(datetime.fromisoformat(spec["renewTime"]))
        if self.names[-1:] != [spec["holderIdentity"]]:
            self.names.append(spec["holderIdentity"])


@pytest.mark.parametrize("off", OFF, ids=_word)
def test_two_replicas_whose_clocks_differ_and_are_set_lead_one_after_the_other(
    off: timedelta, stages: Stages, tmp_path: Path
) -> None:
    clock, seen = WallClock(tmp_path / "clock"), Holders()
    clock.set(off)
    with stages() as on, one_writer_at_a_time(on.here, writers=3):
        on.wire.weather = seen
        first = _started(on, clock)
        eventually(lambda: _leads(first), "the first leads")
        second = on.start(LEASE)
        CREATE.act(on)
        stands = on.settled(lambda: CREATE.goal(on))
        assert abs(seen.renewals[-1] - datetime.now(UTC) - off) < TEN / 10, "its clock is off indeed"
        clock.set(-off)
        _for(DURATION + PERIOD, lambda: not _leads(second) and first.log.read_text().count('"leading"') == 1)
        assert abs(seen.renewals[-1] - datetime.now(UTC) + off) < TEN / 10, "its clock was set indeed"

        _killed(first)
        eventually(lambda: _leads(second), "the second leads", HANDED_OVER)
        third = _started(on, clock)
        assert _mended(on) == stands
        eventually(lambda: _has_looked(third), "the third has seen the Lease")
        _killed(second)
        eventually(lambda: _leads(third), "the third leads", HANDED_OVER)
        assert _mended(on) == stands
        assert [name.rsplit("-", 1)[0] for name in seen.names] == ["operator-0", "operator-1", "operator-2"]


@pytest.mark.parametrize("off", OFF, ids=_word)
def test_a_dead_holder_s_lease_is_taken_after_its_duration_whatever_time_it_was_renewed(
    off: timedelta, stages: Stages
) -> None:
    with stages() as on:
        on.here.api.client.create(KIND.path(HOME), _lease(on.lease(LEASE), datetime.now(UTC) + off))
        replica = on.start(LEASE)
        began = time.monotonic()
        eventually(lambda: _has_looked(replica), "it has seen the Lease")
        eventually(lambda: _leads(replica), "it leads", HANDED_OVER)
        assert time.monotonic() - began >= DURATION


def test_a_failed_run_waits_for_its_time_also_where_the_clock_is_ahead(
    stages: Stages, tmp_path: Path, api: Kubernetes
) -> None:
    clock = WallClock(tmp_path / "clock")
    clock.set(TEN)
    with stages() as on:
        _started(on, clock)
        CREATE.act(on)
        on.settled(lambda: CREATE.goal(on))
        path = f"/apis/batch/v1/namespaces/{on.here.namespace}/jobs"
        (job,) = api.client.get(path)["items"]
        api.client.call("PATCH", f"{path}/{job['metadata']['name']}/status", _failed(), MERGE)
        eventually(lambda: on.reason("ragtenant", "acme", "IngestSucceeded") == "IngestionFailed", "it is told")
        _for(DURATION, lambda: api.client.get(path)["items"][0]["metadata"]["uid"] == job["metadata"]["uid"])


def _started(on: Stage, clock: WallClock) -> OperatorProcess:
    with clock.of_new_processes():
        return on.start(LEASE)


def _leads(replica: OperatorProcess) -> bool:
    return '"leading"' in replica.log.read_text()


def _has_looked(replica: OperatorProcess) -> bool:
    """Whether it has read the Lease: a machine with other work lets it wait before that, as long as it likes."""
    return replica.scrape().of("rag_operator_api_calls_total", resource="leases") > 0


def _mended(on: Stage) -> list[str]:
    """What stands once who leads has brought back what a person took away."""
    on.here.kubectl("delete", "service", "support")
    return on.settled(lambda: CREATE.goal(on) and on.has("service/support"))


def _killed(replica: OperatorProcess) -> None:
    replica.stop(signal.SIGKILL)


def _for(seconds: float, holds: Callable[[], bool]) -> None:
    """It holds all the time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert holds()
        time.sleep(0.5)  # nothing is waited for: it is what stays that is looked at


def _lease(name: str, renewed: datetime) -> dict[str, Any]:
    spec = {
        "holderIdentity": "operator-gone",
        "leaseDurationSeconds": int(DURATION),
        "renewTime": renewed.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "leaseTransitions": 3,
    }
    return {"apiVersion": KIND.api_version, "kind": KIND.kind, "metadata": {"name": name}, "spec": spec}


def _failed() -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = [
        {"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": now}
        for kind in ("FailureTarget", "Failed")
    ]
    return {"status": {"startTime": now, "active": 0, "terminating": 0, "conditions": conditions}}
