"""A2 to A6: whatever the specs were, what stands is what they are; a refused or broken one leaves nothing behind.

The oracle is a fresh installation of the same specs, beside the one that has a past, and at the end the first state.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.faults.breakages import BREAKAGES
from tests.faults.conftest import Stages
from tests.faults.script import ALL
from tests.faults.specs import Spec, pipelines, tenants
from tests.faults.transitions import Installation, Specs

pytestmark = pytest.mark.integration
SEEDS = range(1, 9) if ALL else (1,)
EXAMPLES = 3 if ALL else 1
"""Of each seed."""
STEPS = 4 if ALL else 1
WORTH = 160
"""Characters of a spec that is worth a fresh installation to compare with."""
SAMPLE = ("the pods' limits are below their requests", "a model's Secret is named that is not there")


def says_something(spec: Spec) -> bool:
    """Hypothesis begins with the simplest specs there are, and each costs as much time as others."""
    return len(json.dumps(spec)) > WORTH


class Transitions(RuleBasedStateMachine):
    """S0 → S1 → … → S0. The installation is made at the first step."""

    installed: Installation

    def __init__(self) -> None:
        super().__init__()
        self.now = Specs()

    @rule(
        of=pipelines().filter(says_something),
        who=tenants(),
        kept=st.sampled_from(("nothing", "pipeline", "tenant")),
        paused=st.booleans(),
    )
    def change(self, of: Spec, who: Spec, kept: str, paused: bool) -> None:
        self.now = Specs(
            self.now.pipeline if kept == "pipeline" else of,
            self.now.tenant if kept == "tenant" else who,
        )
        if paused:
            self.installed.pause(self.now)
        self.installed.become(self.now)

    def teardown(self) -> None:
        self.installed.return_and_close()


@pytest.fixture
def installed(stages: Stages, redis_url: str) -> Iterator[Installation]:
    made = Installation(stages, redis_url)
    yield made
    made.close()


@pytest.mark.parametrize("chance", SEEDS)
def test_all_specs_drawn_from_the_schemas(chance: int, stages: Stages, redis_url: str) -> None:
    @seed(chance)
    class Here(Transitions):
        def __init__(self) -> None:
            super().__init__()
            self.installed = Installation(stages, redis_url)

    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Here, settings=chosen)


def test_every_breakage_is_told_and_mended(installed: Installation) -> None:
    """One installation for all, one after the other: none may leave anything that hinders the next."""
    for breakage in BREAKAGES:
        if ALL or breakage.name in SAMPLE:
            installed.mended_after(breakage.act, breakage.reason)
