"""An installation whose specs change, step by step, and what each step must come to."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from tests.faults.conftest import Stages
from tests.faults.harness import Stage
from tests.faults.spec_state import observed, state, troubles
from tests.faults.specs import DATABASE, TENANT, Spec
from tests.support.operator import HANDBOOK, pipeline, secret, tenant
from tests.support.rollouts import rollouts_end


@dataclass(frozen=True, slots=True)
class Specs:
    """What a person wants at one moment."""

    pipeline: Spec = field(default_factory=lambda: deepcopy(DATABASE))
    tenant: Spec = field(default_factory=lambda: deepcopy(TENANT))

    def documents(self) -> list[dict[str, Any]]:
        """Both resources."""
        of, who = pipeline(), tenant()
        of["spec"], who["spec"] = self.pipeline, self.tenant
        return [of, who]

    def __str__(self) -> str:
        return f"pipeline {json.dumps(self.pipeline)}\ntenant {json.dumps(self.tenant)}"


def surroundings(on: Stage, redis_url: str) -> list[dict[str, Any]]:
    """What the specs may name: Secrets, sources, a claim."""
    models = {"api-key": "sk-one", "other-key": "sk-other"}
    secrets = {"redis": {"url": redis_url}, "models": models, "pull": {"a": "b"}, "other": {"a": "b"}}
    claim = {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "1Gi"}}}
    made = [secret(name, values) for name, values in secrets.items()]
    second = HANDBOOK | {"metadata": {"name": "second"}}
    files = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "files"}, "spec": claim}
    return [*made, HANDBOOK, second, files, on.database_secret()]


@dataclass(frozen=True, slots=True)
class Reached:
    """Where an installation has come to rest: what stands, and what the operator objects to."""

    stands: list[str]
    objections: dict[str, str]


def reached(on: Stage, also: Callable[[], bool] = lambda: True) -> Reached:
    """Wait until the newest specs are told of and two resyncs pass without a write."""
    on.settled(lambda: observed(on) and also())
    return Reached(state(on), troubles(on))


@dataclass(slots=True)
class Installation:
    """One that lives through all steps; each is compared with a fresh one that never knew another spec."""

    stages: Stages
    redis_url: str
    first: Reached | None = None
    steps: list[Specs] = field(default_factory=list)
    failed: bool = False
    _on: Stage | None = None
    _open: ExitStack = field(default_factory=ExitStack)

    @property
    def on(self) -> Stage:
        """Its stage; set up at the first use with the specs that all begin with."""
        if self._on is None:
            self._on = self._open.enter_context(self.stages())
            self._open.enter_context(rollouts_end(self._on.here))
            self._install(self._on, Specs())
            self.first = reached(self._on)
            assert not self.first.objections
        return self._on

    def become(self, specs: Specs) -> None:
        """Carry out other specs: what stands then is what a fresh installation has; refused ones are refused alike."""
        on = self.on
        self.steps.append(specs)
        self.failed = True
        with ThreadPoolExecutor(1) as beside:
            fresh = beside.submit(self._fresh, specs)
            on.apply(*specs.documents())
            mine = reached(on)
            theirs = fresh.result()
        assert mine.objections == theirs.objections, self._story()
        if not mine.objections:
            self._compare(theirs, mine, "fresh", "changed")
        self.failed = False

    def pause(self, specs: Specs) -> None:
        """Say the new specs, and that the pipeline is paused: nothing else changes."""
        on = self.on
        before = state(on, elsewhere=False)
        self.failed = True
        of = pipeline()
        of["spec"] = specs.pipeline | {"paused": True}
        on.apply(of)
        on.settled(lambda: on.reason("ragpipeline", "support", "Paused") == "Paused")
        self._compare_lines(_children(before), _children(state(on, elsewhere=False)), "before", "paused")
        self.failed = False

    def mended_after(self, breaking: Callable[[Stage], None], reason: str) -> None:
        """Break what was installed first, see the operator say so, mend it, and find all as it was."""
        on = self.on
        assert self.first is not None
        breaking(on)
        on.settled(lambda: reason in troubles(on).values())
        on.apply(*surroundings(on, self.redis_url), *Specs().documents())
        self._compare(self.first, reached(on, lambda: not troubles(on)), "at first", "mended")

    def return_and_close(self) -> None:
        """Back to the specs that it began with: all stands as at first."""
        try:
            if self._on is not None and self.first is not None and not self.failed:
                self._on.apply(*Specs().documents())
                self.steps.append(Specs())
                self._compare(self.first, reached(self._on), "at first", "at last")
        finally:
            self._open.close()

    def close(self) -> None:
        """End it as it is."""
        self._open.close()

    def _fresh(self, specs: Specs) -> Reached:
        with self.stages() as fresh, rollouts_end(fresh.here):
            self._install(fresh, specs)
            return reached(fresh)

    def _install(self, on: Stage, specs: Specs) -> None:
        on.start()
        on.apply(*surroundings(on, self.redis_url), *specs.documents())

    def _compare(self, expected: Reached, found: Reached, one: str, other: str) -> None:
        self._compare_lines(expected.stands, found.stands, one, other)

    def _compare_lines(self, expected: list[str], found: list[str], one: str, other: str) -> None:
        difference = difflib.unified_diff(expected, found, one, other, lineterm="", n=0)
        text = "\n".join(difference)
        assert not text, f"{text}\n{self._story()}"

    def _story(self) -> str:
        return "\n".join(f"step {number}: {specs}" for number, specs in enumerate(self.steps, 1))


def _children(stands: list[str]) -> list[str]:
    return [line for line in stands if '"kind": "RagPipeline", "metadata"' not in line]
