"""DESIGN §3: a thousand tenants that become ready write their pipeline's counts a few times, not a thousand."""

from __future__ import annotations

import itertools

from rag_operator.engine.coalesce import APART, SOON, Coalescing
from rag_operator.engine.queue import Key

PIPELINE = Key("pipeline", "rag", "support")
OTHER = Key("pipeline", "rag", "sales")


class Clock:
    """Seconds, set by the test."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def looks(changes: list[float]) -> list[float]:
    """When the pipeline is looked at, given when its tenants change."""
    clock = Clock()
    coalescing = Coalescing(clock)
    due = []
    for change in changes:
        clock.now = change
        due.append(round(change + coalescing.delay(PIPELINE), 6))
    return [at for at, _ in itertools.groupby(due)]


def test_a_change_that_comes_alone_is_counted_soon() -> None:
    assert looks([100.0]) == [100.0 + SOON]
    assert looks([100.0, 160.0]) == [100.0 + SOON, 160.0 + SOON]


def test_changes_of_one_moment_are_counted_at_once() -> None:
    assert looks([100.0, 100.2, 100.9]) == [100.0 + SOON]


def test_while_changes_go_on_the_looks_are_apart_and_the_last_change_is_counted() -> None:
    changes = [100.0 + step / 10 for step in range(300)]
    at = looks(changes)
    assert len(at) <= 30 / APART + 2
    assert all(later - earlier >= APART for earlier, later in itertools.pairwise(at))
    assert at[-1] >= changes[-1]


def test_pipelines_are_counted_apart_and_forgotten() -> None:
    clock = Clock()
    coalescing = Coalescing(clock)
    first = coalescing.delay(PIPELINE)
    clock.now += SOON
    assert coalescing.delay(OTHER) == first == SOON
    assert coalescing.delay(PIPELINE) == APART
    coalescing.forget(PIPELINE)
    assert coalescing.delay(PIPELINE) == SOON
