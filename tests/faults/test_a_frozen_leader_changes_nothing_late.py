"""A8, DATA §4: a leader frozen in the middle of a write, whose write arrives when another leads."""

from __future__ import annotations

import difflib

import pytest

from tests.faults.conftest import Stages
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.script import ALL, Fault
from tests.support.operator import eventually

pytestmark = pytest.mark.integration
LEASE = "rag-operator-shared"
CREATE = SCENARIOS[0]


@pytest.mark.parametrize("at", [4, 13, 24] if ALL else [4, 13])
def test_what_arrives_late_is_refused_or_the_same(at: int, stages: Stages) -> None:
    """The fourth write is a commit, the others are an apply of a child and the last one."""
    scenario: Scenario = CREATE
    with stages() as on:
        on.start()
        scenario.act(on)
        expected = on.settled(lambda: scenario.goal(on))
    with stages() as on:
        first = on.start(LEASE)
        eventually(lambda: "leading" in first.log.read_text(), "the first leads")
        second = on.start(LEASE)
        on.script.at, on.script.fault = at, Fault.FREEZE
        scenario.act(on)
        eventually(lambda: on.script.fired, "frozen")
        eventually(lambda: "leading" in second.log.read_text(), "the second leads", 40)
        assert not list(difflib.unified_diff(expected, on.settled(lambda: scenario.goal(on)), lineterm="", n=0))
        on.thaw()
        eventually(lambda: "lost the lease" in first.log.read_text(), "the first knows", 30)
        late = on.settled(lambda: scenario.goal(on))
        assert not list(difflib.unified_diff(expected, late, "expected", "after the late write", lineterm="", n=0))
