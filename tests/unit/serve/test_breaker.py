"""The breaker's three states, on a clock of the test's own."""

from __future__ import annotations

from rag_runtime.breaker import Breaker, BreakerState


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Breaker:
    breaker = Breaker("x", failures=3, pause=2.0, clock=clock)
    for _ in range(3):
        assert breaker.admits()
        breaker.failed()
    return breaker


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = Breaker("x", failures=3, clock=Clock())
    for _ in range(10):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED


def test_open_admits_none_until_the_pause_has_passed() -> None:
    clock = Clock()
    breaker = opened(clock)
    assert breaker.state is BreakerState.OPEN
    assert not breaker.admits()
    clock.now = 1.9
    assert not breaker.admits()


def test_half_open_admits_one_and_its_success_closes() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 2.0
    assert breaker.state is BreakerState.HALF_OPEN
    assert [breaker.admits() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert [breaker.admits() for _ in range(3)] == [True, True, True]


def test_a_failed_trial_opens_again_and_a_lost_one_is_followed_by_another() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 2.0
    assert breaker.admits()
    breaker.failed()
    assert breaker.state is BreakerState.OPEN
    clock.now = 4.0
    assert breaker.admits()
    clock.now = 5.9
    assert not breaker.admits()
    clock.now = 6.0
    assert breaker.admits()
