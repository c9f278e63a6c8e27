"""A circuit breaker: stops asking what keeps failing, and tries again after a pause."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import IntEnum


class BreakerState(IntEnum):
    """The three states, with the values that the metric shows."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """Opens after `failures` in a row, lets one trial through after `pause` seconds, closes when that succeeds.

    Not thread-safe: of one event loop. `clock` is monotonic seconds.
    """

    def __init__(
        self, name: str, failures: int = 3, pause: float = 2.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.pause = pause
        self._limit = failures
        self._clock = clock
        self._failed = 0
        self._opened_at: float | None = None
        self._trial_at: float | None = None

    @property
    def state(self) -> BreakerState:
        """The state now; OPEN becomes HALF_OPEN by the passing of time."""
        if self._opened_at is None:
            return BreakerState.CLOSED
        return BreakerState.HALF_OPEN if self._clock() - self._opened_at >= self.pause else BreakerState.OPEN

    def admits(self) -> bool:
        """Whether a call may be made now. HALF_OPEN admits one per `pause` (its outcome may get lost)."""
        if self.state is not BreakerState.HALF_OPEN:
            return self.state is BreakerState.CLOSED
        now = self._clock()
        if self._trial_at is not None and now - self._trial_at < self.pause:
            return False
        self._trial_at = now
        return True

    def succeeded(self) -> None:
        """The call went well: closed."""
        self._failed = 0
        self._opened_at = self._trial_at = None

    def failed(self) -> None:
        """The call failed: counts towards opening; a failed trial opens again at once."""
        self._failed += 1
        if self._opened_at is not None or self._failed >= self._limit:
            self._opened_at = self._clock()
            self._trial_at = None
