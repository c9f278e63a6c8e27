"""After failures in a row callers don't queue up behind a dead database."""

from __future__ import annotations

from rag_operator.stores.breaker import Breaker


def test_it_stays_closed_below_the_threshold() -> None:
    breaker = Breaker(threshold=3, pause=10)
    for now in (1.0, 2.0):
        breaker.failed(now)
        assert breaker.wait(now) == 0


def test_it_opens_and_lets_one_trial_through_per_pause() -> None:
    breaker = Breaker(threshold=2, pause=10)
    breaker.failed(0)
    breaker.failed(1)
    assert breaker.wait(2) == 9
    assert breaker.wait(11) == 0
    assert breaker.wait(11) == 10
    breaker.failed(12)
    assert breaker.wait(12) == 10


def test_one_success_closes_it() -> None:
    breaker = Breaker(threshold=1, pause=10)
    breaker.failed(0)
    breaker.succeeded()
    assert breaker.wait(0) == 0
