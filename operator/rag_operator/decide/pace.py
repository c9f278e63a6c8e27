"""In which order pipelines move to the operator's release, one after the other: the canary first.

The order is that of need and risk: pipelines that are Ready before those that aren't, then the one with the fewest
tenants, then by name. The next moves when the one before has run the new version for a while; until then everybody
stays, and says behind whom.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rag_operator.api.conditions import Condition, Conditions, ConditionStatus, ConditionType, Reason, find

_CALM = {
    ConditionType.READY: ConditionStatus.TRUE,
    ConditionType.AVAILABLE: ConditionStatus.TRUE,
    ConditionType.PROGRESSING: ConditionStatus.FALSE,
}
"""What a pipeline says whose pods all run the newest spec and answer."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One pipeline, as far as its status tells."""

    namespace: str
    name: str
    tenants: int = 0
    ready: bool = True
    waits: bool = False
    """Its pods run another version than it wants, and it may not take that at once."""
    moves: bool = False
    """It has begun to move, and has not yet run the new version for a while."""
    trouble: str = ""
    """Why it doesn't get on: paused, or the reason in its conditions."""

    @property
    def rank(self) -> tuple[bool, int, str, str]:
        """By which those that wait are ordered."""
        return not self.ready, self.tenants, self.namespace, self.name

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def holdup(mine: Standing, everyone: Iterable[Standing]) -> str:
    """Behind whom this pipeline waits; empty where it is its turn. `everyone` may or may not have it."""
    others = _others(mine, everyone)
    moving = [one for one in others if one.moves]
    ahead = [one for one in others if one.waits and not one.moves and one.rank < mine.rank]
    if not moving and not ahead:
        return ""
    number = len(moving) + len(ahead)
    behind = f"behind {number} other{'s' if number > 1 else ''}"
    if stuck := next((one for one in moving if one.trouble), None):
        return (
            f"{behind}; {stuck} holds all up, which does not get through it ({stuck.trouble}): mend it, or pin it to "
            "the version before with spec.runtimeVersion"
        )
    return f"{behind}; {moving[0]} moves" if moving else behind


def is_last(mine: Standing, everyone: Iterable[Standing]) -> bool:
    """Whether nobody waits behind it, so that its move need not be watched for anybody's sake."""
    return not any(one.waits for one in _others(mine, everyone))


def next_of(everyone: Iterable[Standing]) -> Standing | None:
    """Whose turn it is once nobody moves."""
    return min((one for one in everyone if one.waits and not one.moves), key=lambda one: one.rank, default=None)


def remaining(conditions: Conditions, began: datetime, pause: timedelta, now: datetime) -> timedelta | None:
    """How long a pipeline that moves has still to run undisturbed; None while it doesn't. Zero or less: it is over."""
    if pods_fail(conditions):
        return None
    since = began
    for kind, status in _CALM.items():
        found = find(conditions, kind)
        if found is None or found.status is not status:
            return None
        since = max(since, _time(found))
    degraded = find(conditions, ConditionType.DEGRADED)
    return max(since, _time(degraded) if degraded else since) + pause - now


def pods_fail(conditions: Conditions) -> bool:
    """Whether pods don't start, or new ones never become ready: what a release may be to blame for."""
    degraded = find(conditions, ConditionType.DEGRADED)
    failing = degraded is not None and degraded.status is ConditionStatus.TRUE
    return failing and degraded is not None and degraded.reason == Reason.PODS_FAILING


def _others(mine: Standing, everyone: Iterable[Standing]) -> list[Standing]:
    return [one for one in everyone if (one.namespace, one.name) != (mine.namespace, mine.name)]


def _time(condition: Condition) -> datetime:
    return datetime.fromisoformat(condition.last_transition_time)
