"""A5, A8: whatever the API server answers for a while, the operator ends where it would have ended without."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Callable

import pytest

from tests.faults.conftest import Stages
from tests.faults.oracle import snapshot
from tests.faults.scenarios import ADD_AGAIN, ADD_TENANT, SCENARIOS, Scenario
from tests.faults.script import ALL
from tests.faults.weather import (
    BreakingOff,
    Delaying,
    Intercepting,
    Refusing,
    Weather,
    any_request,
    discovery,
    reads,
    watches,
    writes,
)
from tests.faults.weather_of_watches import (
    Erring,
    Gap,
    Pairing,
    RefusingWatches,
    Silent,
    Stale,
    coalesced,
    swapped,
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
    "watches expire": (CREATE, lambda: Erring(times=8)),
    "watches end by an error": (CREATE, lambda: Erring(times=4, code=500)),
    "events are swapped": (CREATE, lambda: Pairing(swapped)),
    "events are merged": (CREATE, lambda: Pairing(coalesced)),
    "watches expire over a deletion": (DELETE_TENANT, lambda: Gap("DELETED")),
    "watches expire over a creation": (ADD_TENANT, lambda: Gap("ADDED")),
    "watches are silent": (CHANGE, Silent),
    "a deletion is not heard of": (DELETE_TENANT, Silent),
    "a creation is not heard of": (ADD_TENANT, Silent),
    "answers come too late": (CREATE, lambda: Delaying(17, times=3, which=reads)),
    "answers come far too late": (CREATE, lambda: Delaying(30, times=3, which=reads)),
    "reads are of the past": (CHANGE, lambda: Stale(6)),
    "reads show another of the same name": (ADD_AGAIN, lambda: Stale(6)),
    "reads show nothing of the name": (ADD_AGAIN, lambda: Stale(6, step=2)),
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


def test_refused_watches_end_neither_the_process_nor_its_term(stages: Stages) -> None:
    with stages() as on:
        on.wire.weather = refused = RefusingWatches()
        replica = on.start()
        CREATE.act(on)
        on.settled(lambda: CREATE.goal(on))
        refused.begin()
        eventually(lambda: refused.struck or not replica.lives(), "all watches, refused in every way, and open again")
        assert replica.lives(), on.through.logs()[-3000:]
        CHANGE.act(on)
        on.settled(lambda: CHANGE.goal(on))
        assert replica.lives()
        assert replica.scrape().of("rag_operator_leader_terms_total") == 1


EDITS = (
    "set image deployment/support-query *=elsewhere.example/other:1",
    "scale deployment/support-cache --replicas=3",
    "label deployment/support-cache rag-operator.dev/pipeline-",
    "delete service/support",
    "delete secret/acme-api-key",
    'patch cronjob/acme-ingest --type=merge --patch={"spec":{"suspend":true}}',
    "delete networkpolicies --all",
    "delete configmaps --selector=rag-operator.dev/pipeline",
)


@pytest.mark.skipif(not ALL, reason="part of make test-full")
def test_what_others_did_to_children_while_the_operator_was_down_is_undone(stages: Stages) -> None:
    with stages() as on:
        on.start()
        CREATE.act(on)
        before = on.settled(lambda: CREATE.goal(on))
        on.through.replicas[-1].stop(signal.SIGKILL)
        for edit in EDITS:
            on.here.kubectl(*edit.split())
        assert len(set(before) - set(snapshot(on.here, on.dsn, on.ports))) >= len(EDITS)
        on.start()
        after = on.settled(lambda: CREATE.goal(on))
        assert not list(difflib.unified_diff(before, after, "before", "after", lineterm="", n=0))


def _stands(scenario: Scenario, stages: Stages, weather: Callable[[], Weather] | None) -> list[str]:
    """The bad weather begins before the operator starts, or, where something stands already, with the change.

    For that a new process has new connections, unless the weather itself waits for the change.
    """
    with stages() as on:
        falls = weather() if weather else None
        if isinstance(falls, (Gap, Stale)) or not scenario.before:
            on.wire.weather = falls
        on.start()
        for number, (act, goal) in enumerate(scenario.before, 1):
            act(on)
            on.settled(lambda goal=goal: goal(on))  # type: ignore[misc]
            if isinstance(falls, Stale) and number == falls.step:
                falls.keep()
        if isinstance(falls, (Gap, Stale)):
            falls.begin()
        elif falls and scenario.before:
            on.wire.weather = falls
            on.start_again()
            if isinstance(falls, Silent):
                eventually(lambda: falls.begun >= WATCHED, "watches, after the lists that tell what stands")
        scenario.act(on)
        if isinstance(falls, Stale):
            eventually(falls.over, "reads of the present")
        stands = on.settled(lambda: scenario.goal(on))
        assert falls is None or falls.struck, falls
        return stands
