"""A8: the operator dies before or after any one of its writes, or never hears of it; the next one ends the same."""

from __future__ import annotations

import difflib
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from tests.faults.conftest import Stages
from tests.faults.harness import Stage
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.script import ALL, Fault

pytestmark = pytest.mark.integration
SAMPLE = 3
"""Points of a scenario, where not all are asked for."""
AT_ONCE = 6 if ALL else 1
"""Points on stages of their own side by side: most of their time is waited for silence."""
FAULTS = (Fault.DIE_BEFORE, Fault.DIE_AFTER, Fault.LOSE_ANSWER)


def _begin(on: Stage, scenario: Scenario) -> None:
    on.start()
    for act, goal in scenario.before:
        act(on)
        on.settled(lambda goal=goal: goal(on))  # type: ignore[misc]


def _undisturbed(on: Stage, scenario: Scenario) -> tuple[list[str], list[str]]:
    """What stands after the scenario without a fault, and the labels of its writes."""
    _begin(on, scenario)
    before = len(on.script.trace)
    scenario.act(on)
    stands = on.settled(lambda: scenario.goal(on))
    return stands, on.script.trace[before:]


def _disturbed(on: Stage, scenario: Scenario, at: int, fault: Fault) -> list[str]:
    _begin(on, scenario)
    on.script.fired = ""
    on.script.trace.clear()
    on.script.at, on.script.fault = at, fault
    scenario.act(on)
    on.wait_for_the_fault(lambda: scenario.goal(on))
    if on.script.dead.is_set():
        on.start()
    return on.settled(lambda: scenario.goal(on))


def _points(writes: int) -> list[tuple[int, Fault]]:
    every = [(at, fault) for fault in FAULTS for at in range(1, writes + 1)]
    if ALL:
        return every
    step = max(1, len(every) // SAMPLE)
    return every[step // 2 :: step][:SAMPLE]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_point(scenario: Scenario, stages: Stages) -> None:
    with stages() as on:
        expected, writes = _undisturbed(on, scenario)
    assert any(scenario.writes in write for write in writes)
    points = _points(len(writes))
    done = count(1)

    def problem(point: tuple[int, Fault]) -> str:
        found = _problem(stages, scenario, *point, expected)
        if ALL:
            print(f"· {scenario.name}: {next(done)} of {len(points)} points {found}", file=sys.__stderr__, flush=True)
        return found

    with ThreadPoolExecutor(AT_ONCE) as pool:
        problems = [found for found in pool.map(problem, points) if found]
    print(f"{scenario.name}: {len(points) - len(problems)} of {len(points)} points right, {len(writes)} writes")
    assert not problems, "\n\n".join(problems)


def _problem(stages: Stages, scenario: Scenario, at: int, fault: Fault, expected: list[str]) -> str:
    """What differs from the undisturbed end, or what was never reached; empty when all is right."""
    with stages() as on:
        try:
            stands = _disturbed(on, scenario, at, fault)
            difference = list(difflib.unified_diff(expected, stands, "undisturbed", "disturbed", lineterm="", n=0))
        except AssertionError as error:
            difference = [str(error), *getattr(error, "__notes__", [])]
        where = f"{fault.name} at write {at}, {on.script.fired or 'which never came'}:"
        return "\n".join([where, *difference]) if difference else ""
