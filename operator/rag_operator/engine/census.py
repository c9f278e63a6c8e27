"""How many resources are in which state: figures for /metrics, a pointer a resource, and no name among the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from rag_operator.api.conditions import ConditionStatus, ConditionType, Reason
from rag_operator.engine.queue import Key

OTHER = "Other"
"""Reasons that this release doesn't know: labels stay bounded."""
_TYPES = frozenset(map(str, ConditionType))
_STATUSES = frozenset(map(str, ConditionStatus))
_REASONS = frozenset(map(str, Reason))


class Statement(NamedTuple):
    """What a condition says, without its sentence."""

    condition: str
    status: str
    reason: str


State = tuple[Statement, ...]


class Census:
    """The state of each resource. Equal states are one object, since thousands of resources are in few states."""

    def __init__(self) -> None:
        self._states: dict[State, State] = {}
        self._of: dict[Key, State] = {}
        self._numbers: Counter[tuple[str, State]] = Counter()

    def take_in(self, key: Key, body: dict[str, Any]) -> None:
        """Remember what the resource says of itself."""
        self.forget(key)
        said = tuple(_statements(body))
        state = self._of[key] = self._states.setdefault(said, said)
        self._numbers[key.kind, state] += 1

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        if (state := self._of.pop(key, None)) is not None:
            self._numbers[key.kind, state] -= 1

    def counts(self) -> Counter[tuple[str, Statement]]:
        """How many resources of a kind make each statement. Asked at every scrape, so none of them is walked."""
        found: Counter[tuple[str, Statement]] = Counter()
        for (kind, state), number in self._numbers.items():
            for statement in state if number else ():
                found[kind, statement] += number
        return found


def _statements(body: dict[str, Any]) -> Iterator[Statement]:
    for condition in body.get("status", {}).get("conditions", []):
        kind, status, reason = (str(condition.get(part, "")) for part in ("type", "status", "reason"))
        if kind in _TYPES and status in _STATUSES:
            yield Statement(kind, status, reason if reason in _REASONS else OTHER)
