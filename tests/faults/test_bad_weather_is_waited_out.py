"""A5, A8: whatever the API server answers for a while, the operator ends where it would have ended without."""

from __future__ import annotations

import difflib
from collections.abc import Callable

import pytest

from tests.faults.api_wire import Weather
from tests.faults.conftest import Stages
from tests.faults.scenarios import ADD_TENANT, SCENARIOS, Scenario
from tests.faults.script import ALL
from tests.faults.weather import (
    BreakingOff,
    Delaying,
    Expiring,
    Intercepting,
    Refusing,
    Silent,
    Stale,
    any_request,
    discovery,
    reads,
    watches,
    writes,
)
from tests.support.operator import eventually

pytestmark = pytest.mark.integration
CREATE, CHANGE, DELETE_TENANT = SCENARIOS[:3]
WATCHED = {"ragpipelines", "ragtenants"}
WEATHERS: dict[str, tuple[Scenario, Callable[[], Weather]]] = {
    "discovery fails": (CREATE, lambda: Refusing(500, discovery, times=8)),
    "discovery is refused": (CREATE, lambda: Refusing(403, discovery, times=8)),
    "all is refused for a while": (CREATE, lambda: Refusing(403, any_request, seconds=4)),
    "credentials are not known for a while": (CREATE, lambda: Refusing(401, any_request, seconds=4)),
    "nothing answers for a while": (CREATE, lambda: Refusing(503, any_request, seconds=8)),
    "writes are throttled": (CREATE, lambda: Refusing(429, writes, times=6, retry_after=1)),
    "writes conflict": (CREATE, lambda: Refusing(409, writes, times=6)),
    "writes are invalid for a while": (CREATE, lambda: Refusing(422, writes, seconds=3)),
    "a proxy answers in its place": (CREATE, lambda: Intercepting(6)),
    "answers break off": (CREATE, lambda: BreakingOff(reads, times=12)),
    "watches break off": (CREATE, lambda: BreakingOff(watches, times=8)),
    "watches expire": (CREATE, lambda: Expiring(times=8)),
    "watches are silent": (CHANGE, Silent),
    "a deletion is not heard of": (DELETE_TENANT, Silent),
    "a creation is not heard of": (ADD_TENANT, Silent),
    "answers come too late": (CREATE, lambda: Delaying(17, times=3, which=reads)),
    "reads are of the past": (CHANGE, lambda: Stale(6)),
}


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, list[str]]:
    """What stands after each scenario without bad weather, by its name."""
    return {}


SAMPLE = (
    "discovery is refused",
    "nothing answers for a while",
    "writes conflict",
    "answers break off",
    "a creation is not heard of",
    "reads are of the past",
)


@pytest.mark.parametrize("name", WEATHERS if ALL else SAMPLE)
def test_it_ends_where_it_would_have(name: str, stages: Stages, undisturbed: dict[str, list[str]]) -> None:
    scenario, weather = WEATHERS[name]
    if scenario.name not in undisturbed:
        undisturbed[scenario.name] = _stands(scenario, stages, None)
    stands = _stands(scenario, stages, weather)
    difference = difflib.unified_diff(undisturbed[scenario.name], stands, "fair", name, lineterm="", n=0)
    assert not list(difference)


def _stands(scenario: Scenario, stages: Stages, weather: Callable[[], Weather] | None) -> list[str]:
    """The bad weather begins before the operator starts, or, where something stands already, before the change."""
    with stages() as on:
        if weather and not scenario.before:
            on.wire.weather = weather()
        on.start()
        for act, goal in scenario.before:
            act(on)
            on.settled(lambda goal=goal: goal(on))  # type: ignore[misc]
        if weather and scenario.before:
            on.wire.weather = begins = weather()
            on.start_again()
            if isinstance(begins, Silent):
                eventually(lambda: begins.begun >= WATCHED, "watches, after the lists that tell what stands")
        scenario.act(on)
        return on.settled(lambda: scenario.goal(on))
