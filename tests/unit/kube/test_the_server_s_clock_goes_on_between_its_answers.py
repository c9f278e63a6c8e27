from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rag_operator.kube.clock import ServerClock

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"
WHEN = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)


class Monotonic:
    now = 5.0

    def __call__(self) -> float:
        return self.now


def test_nothing_is_known_before_the_first_answer() -> None:
    assert ServerClock().now() is None


def test_it_goes_on_by_the_monotonic_clock_and_is_set_anew_by_each_answer() -> None:
    monotonic = Monotonic()
    clock = ServerClock(monotonic)
    clock.hear(DATE)
    assert clock.now() == WHEN
    monotonic.now += 90
    assert clock.now() == WHEN.replace(minute=29, second=30)
    clock.hear("Wed, 21 Oct 2026 07:40:00 GMT")
    assert clock.now() == WHEN.replace(minute=40)


@pytest.mark.parametrize("date", ["", "soon", "2026-10-21T07:28:00Z"])
def test_what_is_no_date_changes_nothing(date: str) -> None:
    clock = ServerClock(Monotonic())
    clock.hear(date)
    assert clock.now() is None
    clock.hear(DATE)
    clock.hear(date)
    assert clock.now() == WHEN
