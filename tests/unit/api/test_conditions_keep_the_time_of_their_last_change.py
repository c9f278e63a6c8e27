from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from rag_operator.api.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    Reason,
    condition,
    find,
    is_true,
    merge,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def ready(status: bool | None, message: str = "", generation: int = 1) -> Condition:
    return condition(ConditionType.READY, status, Reason.READY, message, generation)


def test_a_new_condition_gets_the_time() -> None:
    (made,) = merge([], [ready(True)], NOON.astimezone(timezone(timedelta(hours=5))))
    assert made.last_transition_time == "2026-11-21T12:00:00Z"


def test_a_status_that_stays_keeps_its_time_whatever_the_message() -> None:
    old = merge([], [ready(True)], NOON)
    (made,) = merge(old, [ready(True, "two pods", 2)], LATER)
    assert (made.last_transition_time, made.message, made.observed_generation) == (
        "2026-11-21T12:00:00Z",
        "two pods",
        2,
    )


def test_a_status_that_changes_gets_the_time() -> None:
    old = merge([], [ready(True)], NOON)
    (made,) = merge(old, [ready(None)], LATER)
    assert (made.status, made.last_transition_time) == ("Unknown", "2026-11-21T13:00:00Z")


def test_merging_the_same_again_changes_nothing() -> None:
    paused = condition(ConditionType.PAUSED, False, Reason.NOT_PAUSED, "")
    old = merge([], [paused, ready(True)], NOON)
    assert [c.type for c in old] == ["Ready", "Paused"]
    assert merge(old, [ready(True), paused], LATER) == old


def test_ours_go_when_they_are_no_longer_said_and_others_stay() -> None:
    foreign = Condition(
        type="Audited", status=ConditionStatus.TRUE, reason="Yes", last_transition_time="2020-01-01T00:00:00Z"
    )
    old = [*merge([], [condition(ConditionType.PAUSED, True, Reason.PAUSED, "")], NOON), foreign]
    assert [c.type for c in merge(old, [ready(True)], LATER)] == ["Ready", "Audited"]


def test_a_condition_is_found_by_its_type() -> None:
    conditions = merge([], [ready(False)], NOON)
    assert find(conditions, "Ready") is conditions[0]
    assert find(conditions, "Paused") is None
    assert not is_true(conditions, "Ready")
    assert is_true([ready(True)], "Ready")


def test_a_condition_is_written_as_kubernetes_writes_it() -> None:
    (made,) = merge([], [ready(True, "all is well", 3)], NOON)
    assert made.to_dict() == {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "message": "all is well",
        "observedGeneration": 3,
        "lastTransitionTime": "2026-11-21T12:00:00Z",
    }
