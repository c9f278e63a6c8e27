from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rag_operator.api.conditions import Condition, ConditionType, Reason, condition, merge
from rag_operator.decide.pace import Standing, holdup, is_last, next_of, pods_fail, remaining

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PAUSE = timedelta(seconds=60)


def one(name: str, tenants: int = 0, **more: object) -> Standing:
    return Standing("rag", name, tenants, **({"waits": True} | more))  # type: ignore[arg-type]


def test_the_one_with_the_fewest_tenants_goes_first_and_names_break_ties() -> None:
    big, small, also_small = one("a", 9), one("c", 1), one("b", 1)
    everyone = [big, small, also_small]
    assert next_of(everyone) == also_small
    assert [holdup(each, everyone) for each in (also_small, small, big)] == ["", "behind 1 other", "behind 2 others"]


def test_whoever_is_not_ready_goes_last_so_that_it_holds_up_nobody_who_is() -> None:
    broken, big = one("a", 0, ready=False), one("b", 9)
    assert next_of([broken, big]) == big
    assert holdup(broken, [broken, big])
    assert next_of([broken]) == broken


def test_while_one_moves_all_others_wait_and_say_for_whom() -> None:
    moving, next_one = one("canary", waits=False, moves=True), one("b")
    assert holdup(next_one, [moving, next_one, one("c", 5)]) == "behind 1 other; rag/canary moves"


def test_one_that_fails_holds_all_up_and_they_say_the_mend() -> None:
    failing = one("canary", waits=False, moves=True, trouble=Reason.PODS_FAILING)
    said = holdup(one("c", 5), [failing, one("b"), one("c", 5)])
    assert said.startswith("behind 2 others; rag/canary holds all up")
    assert "PodsFailing" in said and "pin it" in said and "spec.runtimeVersion" in said


def test_those_that_do_not_wait_are_in_nobodys_way() -> None:
    assert holdup(one("b", 9), [one("a", 0, waits=False)]) == ""
    assert next_of([one("a", waits=False)]) is None


def test_the_last_one_is_watched_for_nobodys_sake() -> None:
    last = one("a")
    assert is_last(last, [last, one("b", waits=False)])
    assert not is_last(last, [last, one("b", 9)])


def said(progressing: bool = False, degraded: Reason | None = None, ready: bool = True) -> tuple[Condition, ...]:
    return (
        condition(ConditionType.READY, ready, Reason.READY, ""),
        condition(ConditionType.AVAILABLE, True, Reason.AS_EXPECTED, ""),
        condition(ConditionType.PROGRESSING, progressing, Reason.ROLLING_OUT, ""),
        condition(ConditionType.DEGRADED, degraded is not None, degraded or Reason.AS_EXPECTED, ""),
    )


def test_a_move_lasts_until_the_new_pods_ran_undisturbed_for_the_pause() -> None:
    rolling = merge(merge((), said(), NOON - timedelta(days=1)), said(progressing=True), NOON)
    assert remaining(rolling, NOON, PAUSE, NOON) is None
    through = merge(rolling, said(), NOON + timedelta(seconds=20))
    assert remaining(through, NOON, PAUSE, NOON + timedelta(seconds=30)) == timedelta(seconds=50)
    assert remaining(through, NOON, PAUSE, NOON + timedelta(seconds=80)) == timedelta(0)


def test_a_move_just_begun_is_not_over_because_all_was_well_before() -> None:
    assert remaining(merge((), said(), NOON - timedelta(days=1)), NOON, PAUSE, NOON) == PAUSE


@pytest.mark.parametrize("bad", [said(degraded=Reason.PODS_FAILING), said(ready=False), said(progressing=True), ()])
def test_a_move_in_trouble_is_never_over(bad: tuple[Condition, ...]) -> None:
    assert remaining(merge((), bad, NOON), NOON, PAUSE, NOON + timedelta(days=1)) is None


def test_pods_that_failed_in_between_begin_the_pause_anew() -> None:
    failed = merge(merge((), said(), NOON), said(degraded=Reason.PODS_FAILING), NOON + timedelta(seconds=30))
    healed = merge(failed, said(), NOON + timedelta(seconds=50))
    assert remaining(healed, NOON, PAUSE, NOON + timedelta(seconds=61)) == timedelta(seconds=49)


def test_trouble_that_no_release_makes_holds_nobody_up() -> None:
    unscaled = merge((), said(degraded=Reason.SCALING_UNAVAILABLE), NOON)
    assert not pods_fail(unscaled)
    assert remaining(unscaled, NOON, PAUSE, NOON + PAUSE) == timedelta(0)
