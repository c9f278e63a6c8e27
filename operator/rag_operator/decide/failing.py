"""A reconcile that failed: what it means for the queue, the metrics and the log, and what its resource says of it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from rag_operator.api.conditions import Condition, ConditionType, Reason, condition, is_true
from rag_operator.api.errors import PermanentError, TransientError


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure: `outcome` and `reason` are words of metrics, `why` is a sentence, `level` one of `logging`.

    `retry_after` is in seconds, where the other side said how long to wait.
    """

    outcome: str
    reason: str
    why: str
    level: int = logging.WARNING
    retry_after: float | None = None


def failure_of(error: Exception, deadline: float) -> Failure:
    """What the error that ended a reconcile means; `deadline` is how many seconds that may take.

    An error that nobody expected is told by its name alone: its text may hold what nobody has looked at.
    """
    match error:
        case TransientError():
            return Failure("retry", _reason(error), str(error), retry_after=error.retry_after)
        case PermanentError():
            return Failure("refused", _reason(error), str(error), logging.ERROR)
        case TimeoutError():
            return Failure("timeout", "Timeout", f"it took longer than {deadline:.0f} s")
    why = f"{type(error).__name__}, which the operator did not expect: its log says more"
    return Failure("error", "Unexpected", why, logging.ERROR)


def conditions(said: Iterable[Condition], why: str) -> tuple[Condition, ...]:
    """What takes the place of conditions that are `said`: Degraded, and Ready too where it does not hold.

    What answers goes on to do so. They name no generation: this one's spec may not have been looked at.
    """
    message = f"its reconcile fails, and is tried again at least each minute: {why}"
    degraded = condition(ConditionType.DEGRADED, True, Reason.RECONCILE_FAILED, message)
    if is_true(said, ConditionType.READY):
        return (degraded,)
    return condition(ConditionType.READY, False, Reason.RECONCILE_FAILED, message), degraded


def recovered(said: Iterable[Condition]) -> tuple[Condition, ...]:
    """What takes the place of what `conditions` said, where the reconcile that went through has left it."""
    message = "its reconcile failed for a while, and does so no more"
    left = [one.type for one in said if one.reason == Reason.RECONCILE_FAILED]
    return tuple(condition(ConditionType(kind), False, Reason.RECONCILING, message) for kind in left)


def _reason(error: Exception) -> str:
    """A store's reason, or the kind of the API server's answer: ApiUnavailable, Conflict, Refused …"""
    return str(getattr(error, "reason", "") or type(error).__name__.removesuffix("Error"))
