"""DATA §7: of a tenant that is erased nothing is left in Redis, whatever becomes of the command that removes it; a
Redis that hangs holds up nothing, and is told."""

from __future__ import annotations

import pytest

from tests.faults.conftest import Stages
from tests.faults.harness import Stage
from tests.faults.scenarios import ERASE_ANSWERS
from tests.faults.script import Fault
from tests.support.operator import eventually

pytestmark = pytest.mark.integration
OTHERS = ["redis answer, another's", "redis version, another's"]


def _answered(on: Stage) -> None:
    on.start()
    for act, goal in ERASE_ANSWERS.before:
        act(on)
        on.settled(lambda goal=goal: goal(on))  # type: ignore[misc]
    assert len(on.cached()) == 2 * len(OTHERS)


@pytest.mark.parametrize("fault", [Fault.DIE_BEFORE, Fault.DIE_AFTER, Fault.LOSE_ANSWER], ids=lambda fault: fault.name)
def test_and_anothers_stay(fault: Fault, stages: Stages) -> None:
    with stages() as on:
        _answered(on)
        on.script.matching, on.script.fault = ERASE_ANSWERS.writes, fault
        ERASE_ANSWERS.act(on)
        on.wait_for_the_fault(lambda: ERASE_ANSWERS.goal(on))
        assert on.script.fired == ERASE_ANSWERS.writes
        if on.script.dead.is_set():
            on.start()
        on.settled(lambda: ERASE_ANSWERS.goal(on))
        assert on.cached() == OTHERS


def test_a_redis_that_hangs_is_told_and_holds_up_no_erasure(stages: Stages) -> None:
    with stages() as on:
        _answered(on)
        on.redis.hanging = True
        ERASE_ANSWERS.act(on)
        eventually(lambda: ERASE_ANSWERS.goal(on), "the tenant goes", 180)
        assert "did not answer within" in on.through.wait_audited("DataErased")["message"]
        assert len(on.cached()) == 2 * len(OTHERS), "they expire by themselves"
        on.here.wait_condition("ragpipeline", "support", "CacheReady", "CacheUnreachable")
        on.redis.hanging = False
        on.here.wait_condition("ragpipeline", "support", "CacheReady", "AsExpected")
