"""Changes of many tenants become one write of their pipeline's counts."""

from __future__ import annotations

from collections.abc import Callable

from rag_operator.engine.queue import Key

SOON = 1.0
"""Seconds after a change that comes alone."""
APART = 5.0
"""Seconds between one look and the next while changes go on: each is a reconcile of the whole pipeline."""


class Coalescing:
    """When a pipeline's counts are looked at. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._due: dict[Key, float] = {}

    def delay(self, pipeline: Key) -> float:
        """Seconds until the look that takes in a change of now."""
        now, due = self._clock(), self._due.get(pipeline, -APART)
        if due <= now:
            due = self._due[pipeline] = max(now + SOON, due + APART)
        return due - now

    def forget(self, pipeline: Key) -> None:
        """The pipeline is gone."""
        self._due.pop(pipeline, None)
