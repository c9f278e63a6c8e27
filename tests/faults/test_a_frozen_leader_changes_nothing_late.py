"""A8, DATA §4: a leader frozen, or cut off, in the middle of a write, whose write arrives when another leads."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from aiohttp import web
from psycopg.sql import SQL, Identifier

from tests.faults.conftest import Stages
from tests.faults.harness import Stage
from tests.faults.oracle import objects
from tests.faults.scenarios import ADD_TENANT, ERASED, SCENARIOS, SCHEDULE
from tests.faults.script import ALL, Fault
from tests.faults.weather import Delaying, Hanging, Waking
from tests.support.operator import OperatorProcess, eventually, pipeline, tenant
from tests.support.terms import one_writer_at_a_time

pytestmark = pytest.mark.integration
LEASE = "shared"
FIRST_REPLICA, SECOND_REPLICA = "(operator-0-", "(operator-1-"
SLOW = 2.0
"""Seconds that each call of the election takes when the frozen one is back: it needs two within its deadline."""
CREATE = SCENARIOS[0]
FIRST = ("COMMIT", "PATCH /api/v1/namespaces", "/ragtenants/acme/status")
"""A write of the first reconcile in SQL, of a child that is not there yet, and the last one."""


@contextmanager
def two(on: Stage) -> Iterator[tuple[OperatorProcess, OperatorProcess]]:
    """The leader, and who stands by; the leader is frozen by the script's fault."""
    first = on.start(LEASE)
    eventually(lambda: "leading" in first.log.read_text(), "the first leads")
    yield first, on.start(LEASE)


def frozen_at(on: Stage, label: str, second: OperatorProcess) -> None:
    """Wait until the write is held and the other leads."""
    eventually(lambda: on.script.fired, "frozen")
    assert label in on.script.fired
    eventually(lambda: "leading" in second.log.read_text(), "the second leads")


def thawed(on: Stage, first: OperatorProcess) -> list[str]:
    """What is written from now on, until the first knows that it no longer leads and two resyncs have passed.

    It learns that late: meanwhile it goes on with what it was about. A request about which its election had been asked
    before it was frozen may still leave.
    """
    before, epoch = len(on.script.trace), _epoch(on)
    on.wire.weather = Delaying(SLOW, times=100, which=leases_of_the_first)
    on.thaw()
    eventually(lambda: "lost the lease" in first.log.read_text(), "the first knows")
    on.wire.weather = None
    on.settled(lambda: True)
    assert _epoch(on) == epoch, "who has no Lease takes no catalog"
    return on.script.trace[before:]


def leases_of_the_first(request: web.Request) -> bool:
    """Its election's calls. The other's stay as they are: it would lose the Lease too."""
    return "/leases" in request.path and FIRST_REPLICA in request.headers.get("User-Agent", "")


def _epoch(on: Stage) -> int:
    catalog = on.here.catalog().hex[:12]
    with psycopg.connect(on.dsn) as admin:
        found = admin.execute(SQL("SELECT epoch FROM {}.leader").format(Identifier(f"rag_{catalog}"))).fetchone()
    assert found
    return int(found[0])


@pytest.mark.parametrize("label", FIRST if ALL else FIRST[:1])
def test_what_arrives_late_is_refused_or_the_same(label: str, stages: Stages) -> None:
    with stages() as on:
        on.start()
        CREATE.act(on)
        expected = on.settled(lambda: CREATE.goal(on))
    with stages() as on, one_writer_at_a_time(on.here) as ledger, two(on) as (first, second):
        on.script.matching, on.script.fault = label, Fault.FREEZE
        CREATE.act(on)
        frozen_at(on, label, second)
        assert not _difference(expected, on.settled(lambda: CREATE.goal(on)))
        versions = _versions(on)
        written = {on.script.fired, *thawed(on, first)}
        assert _versions(on) == versions, written
        ledger.without_effect |= written
        assert not _difference(expected, on.settled(lambda: CREATE.goal(on)))


@pytest.mark.parametrize("child", ["deployments/support-query", "cronjobs/acme-ingest"])
def test_a_late_apply_of_what_was_asked_for_before_the_last_change_is_refused(child: str, stages: Stages) -> None:
    with stages() as on, one_writer_at_a_time(on.here), two(on) as (first, second):
        CREATE.act(on)
        on.settled(lambda: CREATE.goal(on))
        on.script.matching, on.script.fault = child, Fault.FREEZE
        _change(on, 8)
        frozen_at(on, child, second)
        on.settled(lambda: _schedule(on).startswith("8 "))
        _change(on, 9)
        expected = on.settled(lambda: _schedule(on).startswith("9 "))
        generations = _generations(on)
        written = thawed(on, first)
        assert (on.script.late, written) == (409, [])
        assert not _difference(expected, on.settled(lambda: True))
        assert _generations(on) == generations, "not even for a moment"


def test_a_former_leader_that_finds_work_as_it_wakes_leaves_it_to_who_leads(stages: Stages) -> None:
    with stages() as on, one_writer_at_a_time(on.here), two(on) as (first, second):
        CREATE.act(on)
        on.settled(lambda: CREATE.goal(on))
        first.send(signal.SIGSTOP)
        eventually(lambda: "leading" in second.log.read_text(), "the second leads")
        on.wire.weather = waking = Waking(SECOND_REPLICA, Delaying(SLOW, times=100, which=leases_of_the_first))
        ADD_TENANT.act(on)
        eventually(lambda: waking.struck, "the second has work, and is held up")
        first.send(signal.SIGCONT)
        eventually(lambda: "lost the lease" in first.log.read_text(), "the first knows")
        waking.over = True
        on.settled(lambda: ADD_TENANT.goal(on))


def test_a_leader_whose_connections_hang_has_ended_its_term_before_the_next_leads(stages: Stages) -> None:
    with stages() as on, one_writer_at_a_time(on.here), two(on) as (first, second):
        CREATE.act(on)
        on.settled(lambda: CREATE.goal(on))
        on.wire.weather = cut_off = Hanging(FIRST_REPLICA, "cronjobs/acme-ingest")
        _change(on, 8)
        eventually(lambda: "leading" in second.log.read_text(), "the second leads")
        assert "lost the lease" in first.log.read_text()
        on.settled(lambda: _schedule(on).startswith("8 "))
        _change(on, 9)
        expected = on.settled(lambda: _schedule(on).startswith("9 "))
        generations = _generations(on)
        cut_off.over = True
        eventually(lambda: cut_off.arrived, "what was under way arrives")
        assert not _difference(expected, on.settled(lambda: True))
        assert set(cut_off.arrived) == {409}
        assert _generations(on) == generations, "not even for a moment"


def _change(on: Stage, number: int) -> None:
    """Of the Deployment's pods, and of the CronJob's schedule."""
    schedule = SCHEDULE | {"schedule": f"{number} 3 * * *"}
    resources = {"requests": {"cpu": f"{number}0m"}}
    on.apply(pipeline(**ERASED, query={"resources": resources}), tenant(**ERASED, **schedule))


def _schedule(on: Stage) -> str:
    return str((on.here.get("cronjob", "acme-ingest") or {})["spec"]["schedule"])


def _generations(on: Stage) -> dict[str, int]:
    """Of the children that were to be overwritten."""
    children = (("deployment", "support-query"), ("cronjob", "acme-ingest"))
    return {name: int((on.here.get(kind, name) or {})["metadata"]["generation"]) for kind, name in children}


def _versions(on: Stage) -> dict[tuple[str, str], str]:
    """Of all objects: whatever changes one gives it another."""
    found = [(item["kind"], item["metadata"]) for item in objects(on.here)]
    return {(kind, meta["name"]): meta["resourceVersion"] for kind, meta in found}


def _difference(expected: list[str], found: list[str]) -> list[str]:
    return list(difflib.unified_diff(expected, found, "expected", "found", lineterm="", n=0))
